//! What this machine could do at best.

use std::time::Instant;

use adamix_keys::Key;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;

/// The machine under a measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The widest instructions the kernels found, and the threads they run on.
    pub processor: String,
    /// Billions of products and sums a second of a large product alone (2048 x 768 by 768 x 3072), the best of a few.
    pub gemm_gflops: f64,
}

impl Machine {
    /// Measures the machine; takes about a second.
    pub fn measure(device: &Device) -> Self {
        let [rows, inner, columns] = [2048, 768, 3072];
        let filled = |shape: [usize; 2], key: Key| {
            let values: Vec<f32> = (0..shape[0] * shape[1])
                .map(|i| key.fold(i as u64).uniform() as f32 - 0.5)
                .collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), device)
        };
        let x = filled([rows, inner], Key::new(1));
        let w = filled([inner, columns], Key::new(2));
        let once = || {
            let clock = Instant::now();
            let y = adamix_kernels::linear(x.clone(), w.clone(), None);
            // Reading a value waits for devices that compute behind one's back.
            let _ = y.slice([0..1, 0..1]).into_data();
            clock.elapsed().as_secs_f64()
        };
        let best = (0..12).map(|_| once()).fold(f64::INFINITY, f64::min);
        Self {
            processor: adamix_kernels::cpu_features().to_string(),
            gemm_gflops: 2.0 * (rows * inner * columns) as f64 / best / 1e9,
        }
    }
}

/// The most memory this process has held, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
