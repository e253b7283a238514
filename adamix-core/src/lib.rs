//! The method: mixtures of adaptation modules, routing, merging, consistency, optimiser.
