#!/usr/bin/env bash
# Train a network on a GPU of a SLURM cluster:
#
#   sbatch slurm-train.sh /project/training.ome.zarr --out /project/network
#
# Only `hela-dask train` uses a GPU. `run`, `predict` and all other commands compute on CPUs, the
# networks too (through ONNX Runtime): a GPU in the jobs of slurm.yaml would be idle.
# docs/usage.md lists the packages for TensorFlow, JAX and PyTorch with CUDA. The same command
# continues a training that was interrupted.

# The partition with GPUs, and the number of GPUs: one is used.
#SBATCH --job-name=hela-train
#SBATCH --partition=gpu
#SBATCH --gres=gpu:1
# Cores make the patches ahead (--processes).
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=08:00:00
# In the folder of the submission: SLURM makes no folder for it.
#SBATCH --output=%x-%j.out

set -euo pipefail
# The environment with the packages, where the terminal of sbatch does not have it:
# . /project/venv/bin/activate
export KERAS_BACKEND="${KERAS_BACKEND:-jax}"
exec hela-dask train "$@"
