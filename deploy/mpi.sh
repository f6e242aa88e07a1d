#!/bin/bash
# hela_dask in one allocation, started by mpirun or mpiexec: PBS, LSF, Grid Engine, or a few
# machines.
#
#   pip install '.[hpc]'
#   qsub mpi.sh        (bsub < mpi.sh for LSF; bash mpi.sh without a queue)
#
# The lines with #PBS are for PBS: for another system, write its own.
# mpirun only starts the processes: hela_dask sends its data itself, encrypted, and needs no mpi4py.
# Open MPI, MPICH, Intel MPI, MVAPICH2 and PALS (HPE Cray) work. The first process schedules, prints
# and writes the results; the others compute. Start it in a folder that all nodes see: the processes
# meet in a hidden folder there. If the job reaches its wall time, submit it again: finished units
# are kept.

# One chunk per process, on any nodes: one more than the workers that you want.
#PBS -l select=17:ncpus=1:mpiprocs=1:mem=16gb
#PBS -l walltime=04:00:00
# Torque writes that as nodes and processes of each (-l nodes=17:ppn=1,pmem=16gb). Where a site gives
# whole nodes only, ask for them, such as two with 9 of 32 cores in use:
# -l select=2:ncpus=32:mpiprocs=9, then mpirun -n 18.

cd "${PBS_O_WORKDIR:-$PWD}" || exit 1
export OMP_NUM_THREADS=1
# A job of PBS starts without the Python environment of the terminal:
# . /project/venv/bin/activate

# Without --memory, each worker gets an equal share of its node's memory. Name it where the job has
# only a part of the node, as here: 16 GB per process, less what scheduler and dask need. An mpirun
# that does not know PBS starts all on one node: then add --hostfile "$PBS_NODEFILE".
mpirun -n 17 \
    hela-dask run /project/hela.ome.zarr --out /project/hela.run --cluster runner --memory 14GiB
