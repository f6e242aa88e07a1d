"""Networks: architectures, training, the folder a model is kept in, what it sees and tells."""
