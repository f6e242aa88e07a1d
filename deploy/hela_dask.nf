// Segmentation as a process of Nextflow:
//
//   nextflow run hela_dask.nf --volumes '/project/*.ome.zarr' --results /project/results
//
// Nextflow gives each try a new folder. So the run folder and the labels are in --results, and a
// second try continues where the first one stopped. With a cluster's file, add --cluster slurm.yaml.

params.volumes = null
params.results = null
params.cluster = 'local'

process SEGMENT {
    tag "${name}"
    cpus 8
    memory '32 GB'
    time '24h'
    errorStrategy 'retry'
    maxRetries 3

    input:
    tuple val(name), val(volume)

    output:
    tuple val(name), path("${name}.cells.csv")

    script:
    // A cluster's file states its own number of workers.
    def workers = params.cluster == 'local' ? "--workers ${task.cpus}" : ''
    """
    mkdir -p "${params.results}"
    hela-dask run "${volume}" --out "${params.results}/${name}.run" \\
        --labels "${params.results}/${name}.labels.ome.zarr" --cluster "${params.cluster}" ${workers}
    cp "${params.results}/${name}.run/cells.csv" "${name}.cells.csv"
    """
}

workflow {
    if (!params.volumes || !params.results) {
        error "name the volumes and the folder of the results: --volumes '/project/*.ome.zarr' --results /project/results"
    }
    volumes = Channel
        .fromPath(params.volumes, type: 'dir', checkIfExists: true)
        .map { volume -> tuple(volume.name.replaceAll(/(\.ome)?\.zarr$/, ''), volume.toString()) }
    SEGMENT(volumes)
}
