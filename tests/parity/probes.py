"""Writes probes.safetensors: scikit-learn's k-NN and logistic regression on one set of features.

    pip install -r tests/parity/requirements.txt
    python tests/parity/probes.py

The features are scikit-learn's handwritten digits on 12 of their principal axes, with noise, so
that no classifier is perfect: 900 to train, 897 to test. `knn.K` holds the predicted classes of
K neighbors by cosine, weighted exp(similarity / 0.07), `knn_standardized.K` those of standardized
features; `logistic.C` the class probabilities of logistic regression on standardized features.
"""

from itertools import product
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

PATH = Path(__file__).with_name("probes.safetensors")
TRAIN = 900


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    features = PCA(12, svd_solver="full").fit_transform(images)
    features += generator.normal(scale=6.0, size=features.shape) + 3.0
    features = np.ascontiguousarray(features, np.float32)
    train, test = features[:TRAIN], features[TRAIN:]
    tensors = {"features": features, "labels": labels.astype(np.uint8)}
    scaler = StandardScaler().fit(train)
    kinds = {"knn": (train, test)}
    kinds["knn_standardized"] = (scaler.transform(train), scaler.transform(test))
    for (kind, (samples, queries)), neighbors in product(kinds.items(), (1, 5, 20, 200)):
        knn = KNeighborsClassifier(
            neighbors,
            metric="cosine",
            algorithm="brute",
            weights=lambda distance: np.exp((1.0 - distance) / 0.07),
        ).fit(samples, labels[:TRAIN])
        predicted = knn.predict(queries)
        tensors[f"{kind}.{neighbors}"] = predicted.astype(np.uint8)
        print(f"{kind}, k = {neighbors}: {(predicted == labels[TRAIN:]).mean():.4f}")
    for c in (0.01, 1.0):
        logistic = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000, tol=1e-8))
        logistic.fit(train, labels[:TRAIN])
        tensors[f"logistic.{c}"] = logistic.predict_proba(test).astype(np.float32, order="C")
        print(f"C = {c}: {logistic.score(test, labels[TRAIN:]):.4f}")
    save_file(tensors, PATH)
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
