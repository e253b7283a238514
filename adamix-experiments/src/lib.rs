//! The adamix program: train, evaluate, predict, inspect, report.
