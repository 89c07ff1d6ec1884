#!/usr/bin/env bash
# Best-of-N in small: word problems, a model that learns them, candidates, an energy model trained on these, and the test with
# all rerankers beside each other; then DBDK of the model and of what it was after half its training. About a quarter of an
# hour on two cores. The test is killed in the middle, goes on, and gets more candidates later. Everything lands in one folder.
#
#   scripts/gsm8k_tiny.sh [FOLDER]
set -euo pipefail

folder=${1:-gsm8k-tiny}
export LABKIT_RUNS_DIR=runs OMP_NUM_THREADS=1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
cd "$folder"
configs=configs/gsm8k-tiny

labkit gencfg gsm8k-tiny
labkit run $configs/{data,training,candidates,energy}.yaml $configs/goodhart --jobs 2

# Of the newest run: the folder may hold earlier ones. A run's id begins with its time.
num_rows() {
    local dirs=(runs/eval/*-word-problems-test-*/rows)
    cat "${dirs[-1]}"/*.jsonl 2> /dev/null | wc -l
}
num_tests() { find runs/eval -maxdepth 1 -name '*-word-problems-test-*' 2> /dev/null | wc -l; }

before=$(num_tests)
set -m # a group of its own for what is to be killed
labkit run $configs/evaluation.yaml &
test_pid=$!
while kill -0 $test_pid 2> /dev/null && (("$(num_tests)" <= before || "$(num_rows)" < 1500)); do sleep 0.05; done
if kill -9 -- -$test_pid 2> /dev/null; then
    how="killed with"
else
    how="ended before it could be killed, with" # or done before, in a folder that was used already
fi
wait $test_pid || true
set +m
echo "$how $(num_rows) of 5000 rollouts written" | tee killed.txt >&2

labkit run $configs/evaluation.yaml
labkit report word-problems-test --table best_of_n
labkit eval --resume word-problems-test --num-rollouts 8 # the first five stay
cp "$here/gsm8k_arithmetic.py" arithmetic.py
labkit eval --rerank word-problems-test --reranker arithmetic.py

for checkpoint in final 250; do # items in words that the model knows
    labkit eval goodhart --model run:word-problems --checkpoint $checkpoint --data "$here/../templates/word-problems-goodhart.yaml" --name "words-$checkpoint"
done

labkit report word-problems-test
labkit report goodhart-final --against goodhart-250 --table dbdk --table dbdk_comparison
labkit report words-final --against words-250 --table dbdk --table dbdk_comparison
