#!/usr/bin/env bash
# What pre-training is worth on Fashion-MNIST: every figure of docs/methods.md for one method.
#
#   benches/fashion_mnist.sh DIR OUT EXAMPLE [the example's own arguments]
#   benches/fashion_mnist.sh /usr/share/datasets/fashion-mnist runs/fashion-mae mae_cifar10 --preset mae_pixels_small_images --image-size 28 --epochs 8
#
# DIR holds the four files of Fashion-MNIST (Debian: dataset-fashion-mnist). Pre-trains by EXAMPLE, then
# measures k-NN and the linear probe on 20 000 labelled images beside random encoders of three seeds, and
# fine-tuning with 1 % and with 10 % of the labels beside training from scratch. The last line of each
# *.json in OUT is a result.
set -euo pipefail
data="idx:$1" out=$2 example=$3
shift 3
run() { cargo run --release --example "$@"; }
run "$example" -- --data "$data" --out "$out" "$@"
evaluate() {
    local name=$1
    shift
    run evaluate -- --checkpoint "$out" --data "$data" --baselines --seeds 3 --out "$out/evaluate" "$@" > "$out/$name.json"
    tail -n 1 "$out/$name.json"
}
evaluate knn --protocol knn --labels 0.3334
evaluate linear --protocol linear --labels 0.3334
evaluate finetune-1-percent --protocol finetune --labels 0.01
evaluate finetune-10-percent --protocol finetune --labels 0.1
