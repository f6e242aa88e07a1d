// Segmentation as a process of Nextflow (DSL2):
//
//   nextflow run hela_dask.nf --volumes '/project/*.ome.zarr' --results /project/results
//
// Nextflow gives each try a new folder. So run folder and labels are in --results, and a later try
// continues where the last one stopped; after a kill of Nextflow itself, type the same line with
// -resume. With --cluster slurm.yaml the workers are jobs; start Nextflow inside tmux then.

params.volumes = null
params.results = null
params.cluster = 'local'

process SEGMENT {
    tag "${name}"
    cpus { cluster == 'local' ? 8 : 1 }
    memory { cluster == 'local' ? 32.GB : 4.GB }
    time 24.h
    // In an image: with -with-apptainer (or -with-docker hela_dask:latest) and --cluster local.
    // Nextflow mounts its own folders alone: name the others in nextflow.config, such as
    // apptainer.runOptions = "--bind /project".
    // container "/project/hela_dask.sif"
    errorStrategy 'retry'
    maxRetries 3

    input:
    tuple val(name), val(volume), val(results), val(cluster)

    output:
    tuple val(name), path("${name}.cells.csv")

    script:
    // A cluster's file states its own number of workers.
    def workers = cluster == 'local' ? "--workers ${task.cpus}" : ''
    // Exit code 3: the run is finished, and the table names cells that failed.
    """
    mkdir -p "${results}"
    hela-dask run "${volume}" --out "${results}/${name}.run" \\
        --labels "${results}/${name}.labels.ome.zarr" --cluster "${cluster}" ${workers} \\
        || [ \$? -eq 3 ]
    cp "${results}/${name}.run/cells.csv" "${name}.cells.csv"
    """
}

workflow {
    if (!params.volumes || !params.results) {
        error "needs --volumes '/project/*.ome.zarr' and --results /project/results"
    }
    // A task starts in a folder of Nextflow, so its paths are absolute.
    def results = file(params.results).toAbsolutePath().toString()
    def cluster = params.cluster.endsWith('.yaml')
        ? file(params.cluster, checkIfExists: true).toAbsolutePath().toString()
        : params.cluster
    volumes = channel
        .fromPath(params.volumes, type: 'dir', checkIfExists: true)
        .filter { volume -> !volume.name.endsWith('.labels.ome.zarr') }
        .map { volume ->
            tuple(volume.name.replace('.ome.zarr', ''), volume.toString(), results, cluster)
        }
    SEGMENT(volumes)
}
