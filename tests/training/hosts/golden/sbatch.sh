#!/bin/bash
#SBATCH --job-name=forge-d27515d0ab1f0a5d
#SBATCH --comment='tiny dense/base_checkpoint'
#SBATCH --partition=gpu
#SBATCH --account=forge
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=65536M
#SBATCH --gres=gpu:8
#SBATCH --time=120
#SBATCH --signal=B:TERM@660
#SBATCH --dependency=singleton
#SBATCH --output='/srv/forge/work/tiny dense/base_checkpoint/0123abcd/slurm.log'
#SBATCH --chdir='/srv/forge/work/tiny dense/base_checkpoint/0123abcd'
#SBATCH --export=NONE
#SBATCH --no-requeue
set -u
export FORGE_HOME=/srv/forge
export FORGE_PULSE=token
export NCCL_SOCKET_IFNAME=eth0
export SLURM_EXPORT_ENV=ALL
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node "$first" --oneliner | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
export FORGE_FIRST="${address:-$first}"
stop() { touch '/srv/forge/work/tiny dense/base_checkpoint/0123abcd/stop'; }
trap stop TERM
srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --kill-on-bad-exit=1 --cpus-per-task=8 '--output=/srv/forge/work/tiny dense/base_checkpoint/0123abcd/torchrun-%t.log' bash -c 'exec /opt/forge/bin/python -m torch.distributed.run --nnodes 2 --nproc-per-node 8 --node-rank "$SLURM_PROCID" --master-addr "$FORGE_FIRST" --master-port 29500 --shutdown-timeout 600 -m forge_dagster.training.worker '"'"'/srv/forge/work/tiny dense/base_checkpoint/0123abcd/work.json'"'"'' &
step=$!
until wait "$step"; code=$?; ! kill -0 "$step" 2>/dev/null; do :; done
exit "$code"
