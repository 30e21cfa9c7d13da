"""How a block is fitted: objective, readout solvers, honest estimates, the layerwise loop."""
