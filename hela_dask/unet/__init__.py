"""Networks: architectures, training, the folder of a model, its inputs and outputs."""
