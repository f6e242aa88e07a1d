"""The public names, and the modules that define them."""

from ._figure import (
    figure as figure,
)
from ._meshes import (
    meshes as meshes,
)
from ._predict import (
    predict as predict,
)
from ._run import (
    detect as detect,
)
from ._run import (
    run as run,
)
from ._scene import (
    scene as scene,
)
from .comparing.compare import (
    Comparison as Comparison,
)
from .comparing.compare import (
    compare as compare,
)
from .conversion.convert import (
    convert as convert,
)
from .conversion.describe import (
    describe as describe,
)
from .datasets.sample import (
    Sample as Sample,
)
from .datasets.sample import (
    sample as sample,
)
from .datasets.sample import (
    samples as samples,
)
from .environment.doctor import (
    Checkup as Checkup,
)
from .environment.doctor import (
    doctor as doctor,
)
from .errors import (
    ExistsError as ExistsError,
)
from .errors import (
    HelaDaskError as HelaDaskError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    MissingDependencyError as MissingDependencyError,
)
from .errors import (
    MissingInputError as MissingInputError,
)
from .errors import (
    NothingToDoError as NothingToDoError,
)
from .errors import (
    ParameterError as ParameterError,
)
from .errors import (
    ResourceError as ResourceError,
)
from .errors import (
    StorageError as StorageError,
)
from .evaluation.evaluate import (
    evaluate as evaluate,
)
from .explaining.explain import (
    Explanation as Explanation,
)
from .explaining.explain import (
    explain as explain,
)
from .exporting.export import (
    Export as Export,
)
from .exporting.export import (
    export as export,
)
from .measuring.measure import (
    measure as measure,
)
from .measuring.result import (
    Measurement as Measurement,
)
from .methods.base import (
    BaseMethod as BaseMethod,
)
from .methods.method import (
    Masks as Masks,
)
from .methods.method import (
    Method as Method,
)
from .methods.method import (
    Window as Window,
)
from .methods.names import (
    METHODS as METHODS,
)
from .napari.window import (
    review as review,
)
from .operators.background import (
    background as background,
)
from .operators.classify import (
    classify as classify,
)
from .operators.distance import (
    distance as distance,
)
from .operators.filters import (
    gaussian as gaussian,
)
from .organelles.assign import (
    assign as assign,
)
from .organelles.result import (
    Assignment as Assignment,
)
from .parameters import (
    AssembleParameters as AssembleParameters,
)
from .parameters import (
    BackgroundParameters as BackgroundParameters,
)
from .parameters import (
    DetectParameters as DetectParameters,
)
from .parameters import (
    HybridParameters as HybridParameters,
)
from .parameters import (
    LinkParameters as LinkParameters,
)
from .parameters import (
    MeasureParameters as MeasureParameters,
)
from .parameters import (
    Parameters as Parameters,
)
from .parameters import (
    PropagateParameters as PropagateParameters,
)
from .parameters import (
    QualityParameters as QualityParameters,
)
from .parameters import (
    RegionParameters as RegionParameters,
)
from .parameters import (
    UnetParameters as UnetParameters,
)
from .parameters import (
    VolumetricParameters as VolumetricParameters,
)
from .parameters import (
    WorkingParameters as WorkingParameters,
)
from .parameters.fields import (
    ParameterGroup as ParameterGroup,
)
from .parameters.fields import (
    parameter as parameter,
)
from .phantom import (
    make_phantom as make_phantom,
)
from .planning.plan import (
    plan as plan,
)
from .planning.show import (
    Plan as Plan,
)
from .report import (
    write_report as write_report,
)
from .running.opening import (
    open_run as open_run,
)
from .running.result import (
    RunResult as RunResult,
)
from .steps.detect import (
    detect_cells as detect_cells,
)
from .steps.link import (
    link_cells as link_cells,
)
from .steps.measure import (
    measure_cells as measure_cells,
)
from .steps.plots import (
    plot_masks as plot_masks,
)
from .steps.region_files import (
    save_regions as save_regions,
)
from .steps.regions import (
    Region as Region,
)
from .steps.regions import (
    cell_regions as cell_regions,
)
from .steps.segment import (
    segment_cell as segment_cell,
)
from .tasks.cluster.checking import (
    check_cluster as check_cluster,
)
from .tasks.cluster.findings import (
    ClusterCheck as ClusterCheck,
)
from .trace import (
    NO_TRACE as NO_TRACE,
)
from .trace import (
    Trace as Trace,
)
from .unet.training import (
    train as train,
)
from .verification.findings import (
    Finding as Finding,
)
from .verification.findings import (
    Verification as Verification,
)
from .verification.verify import (
    verify as verify,
)
from .version import __version__ as __version__
from .viewing.napari_viewer import (
    view as view,
)
from .viewing.neuroglancer import (
    NeuroglancerView as NeuroglancerView,
)
from .viewing.neuroglancer import (
    neuroglancer as neuroglancer,
)
from .viewing.neuroglancer import (
    neuroglancer_state as neuroglancer_state,
)
from .volume.greys import (
    GreyLevels as GreyLevels,
)
from .volume.greys import (
    grey_levels as grey_levels,
)
from .volume.opening import (
    open_volume as open_volume,
)
from .watching.status import (
    Status as Status,
)
from .watching.status import (
    status as status,
)

__all__ = [
    "METHODS",
    "NO_TRACE",
    "AssembleParameters",
    "Assignment",
    "BackgroundParameters",
    "BaseMethod",
    "Checkup",
    "ClusterCheck",
    "Comparison",
    "DetectParameters",
    "ExistsError",
    "Explanation",
    "Export",
    "Finding",
    "GreyLevels",
    "HelaDaskError",
    "HybridParameters",
    "InputError",
    "LinkParameters",
    "Masks",
    "MeasureParameters",
    "Measurement",
    "Method",
    "MissingDependencyError",
    "MissingInputError",
    "NeuroglancerView",
    "NothingToDoError",
    "ParameterError",
    "ParameterGroup",
    "Parameters",
    "Plan",
    "PropagateParameters",
    "QualityParameters",
    "Region",
    "RegionParameters",
    "ResourceError",
    "RunResult",
    "Sample",
    "Status",
    "StorageError",
    "Trace",
    "UnetParameters",
    "Verification",
    "VolumetricParameters",
    "Window",
    "WorkingParameters",
    "__version__",
    "assign",
    "background",
    "cell_regions",
    "check_cluster",
    "classify",
    "compare",
    "convert",
    "describe",
    "detect",
    "detect_cells",
    "distance",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "figure",
    "gaussian",
    "grey_levels",
    "link_cells",
    "make_phantom",
    "measure",
    "measure_cells",
    "meshes",
    "neuroglancer",
    "neuroglancer_state",
    "open_run",
    "open_volume",
    "parameter",
    "plan",
    "plot_masks",
    "predict",
    "review",
    "run",
    "sample",
    "samples",
    "save_regions",
    "scene",
    "segment_cell",
    "status",
    "train",
    "verify",
    "view",
    "write_report",
]
