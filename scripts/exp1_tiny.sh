#!/usr/bin/env bash
# The whole world-cities experiment in small: a world, a base model, three FTWB1 and three FTWB2 models, their evaluations
# and hidden states, and the report. About 20 minutes on two cores. Everything lands in one folder.
#
#   scripts/exp1_tiny.sh [FOLDER]
set -euo pipefail

folder=${1:-exp1-tiny}
export LABKIT_RUNS_DIR=$folder/runs OMP_NUM_THREADS=1
world=$folder/world
mixtures="ftwb2-2 ftwb2-8 ftwb2-15 ftwb1-1 ftwb1-3 ftwb1-4" # the longer ones first: two train at a time
mkdir -p "$folder"

labkit data build exp1-tiny-data --out "$world"
labkit train exp1-tiny-pretrain --data "$world/multi_task"
labkit eval world --model run:tiny-base --data "$world"

fine_tune() { # a mixture: train, evaluate, extract
    labkit train exp1-tiny-finetune --data "$world/$1" --name "tiny-$1"
    labkit eval world --model "run:tiny-$1" --data "$world"
    labkit extract --model "run:tiny-$1" --cities "$world/cities.csv" --layer 2 --layer 3
}
export -f fine_tune
export world
# Each mixture's output goes to its log: two at a time would write over each other.
xargs -n 1 -P 2 bash -euo pipefail -c 'fine_tune "$1" > "$0/$1.log" 2>&1 || { cat "$0/$1.log" >&2; exit 255; }' "$folder" <<< "$mixtures"
labkit extract --model run:tiny-base --cities "$world/cities.csv" --layer 2 --layer 3

labkit report
labkit plot heatmap --value improvement --family ftwb1
labkit plot heatmap --value difference
