//! Fused operations against the same composed of Burn's own, on the shapes of a 12 x 768 encoder with a
//! batch of 16 x 128. Prints the shortest of a few runs in milliseconds; takes half a minute.
//!
//! `cargo bench -p adamix-kernels [-- part of a name]`

use adamix_kernels::*;
use burn::tensor::{Device, Tensor, TensorData, activation, module};
use std::time::Instant;

const BATCH: usize = 16;
const TOKENS: usize = 128;
const HIDDEN: usize = 768;
const INNER: usize = 3072;
const HEADS: usize = 12;

fn filled<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    let key = adamix_keys::Key::new(dims.iter().sum::<usize>() as u64);
    let n = dims.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..n).map(|i| key.fold(i).uniform() as f32 - 0.5).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

/// Milliseconds of the shortest of some runs: the one that other programs disturbed least.
fn shortest(mut run: impl FnMut()) -> f64 {
    let seconds = (0..7).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min) * 1e3
}

/// Times an operation of one tracked input: outside autodiff, and with its backward pass.
///
/// The backward pass starts from a product with a fixed tensor, whose own cost is printed as `overhead`.
fn times<const D: usize>(
    x: &Tensor<D>,
    g: &Tensor<D>,
    op: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [f64; 2] {
    let forward = shortest(|| drop(op(x.clone())));
    let both = shortest(|| {
        let leaf = x.clone().autodiff().require_grad();
        let y = op(leaf.clone());
        let gradients = (y * g.clone().autodiff()).sum().backward();
        assert!(leaf.grad(&gradients).is_some());
    });
    [forward, both]
}

fn report(name: &str, stock: [f64; 2], fused: [f64; 2]) {
    println!(
        "{name:<34} forward {:8.2} -> {:8.2}   forward + backward {:8.2} -> {:8.2}",
        stock[0], fused[0], stock[1], fused[1]
    );
}

/// The frozen weights of one layer, and the adapter that is trained.
struct Layer {
    square: [Tensor<2>; 4],
    up: Tensor<2>,
    down: Tensor<2>,
    wide: Tensor<1>,
    narrow: Tensor<1>,
    adapter: [Tensor<2>; 2],
}

impl Layer {
    fn new(device: &Device) -> Self {
        let square = filled([HIDDEN, HIDDEN], device) * 0.1;
        let adapter = [filled([HIDDEN, 16], device), filled([16, HIDDEN], device)];
        Self {
            square: [(); 4].map(|()| square.clone()),
            up: filled([HIDDEN, INNER], device) * 0.1,
            down: filled([INNER, HIDDEN], device) * 0.1,
            wide: filled([INNER], device),
            narrow: filled([HIDDEN], device),
            adapter: adapter.map(|w| w.autodiff().require_grad()),
        }
    }

    /// The layer with this crate's operations.
    fn fused(&self, x: Tensor<3>, mask: &Tensor<2>) -> Tensor<3> {
        let bias = || Some(self.narrow.clone());
        let dense = |x: Tensor<3>, w: &Tensor<2>| linear(x, w.clone(), bias());
        let [q, k, v] = [0, 1, 2].map(|i| split(dense(x.clone(), &self.square[i])));
        let y = dense(
            join(attention(q, k, v, mask.clone(), None)),
            &self.square[3],
        );
        let norm = |x, residual| {
            add_layer_norm(x, residual, self.narrow.clone(), self.narrow.clone(), 1e-12)
        };
        let x = norm(y, x);
        let y = linear(x.clone(), self.up.clone(), Some(self.wide.clone()));
        let y = dense(gelu(y), &self.down);
        let z = gelu(linear(y.clone(), self.adapter[0].clone(), None));
        let y = linear(z, self.adapter[1].clone(), None) + y;
        norm(y, x)
    }

    /// The layer with Burn's operations.
    fn stock(&self, x: Tensor<3>, mask: &Tensor<2>) -> Tensor<3> {
        let bias = || Some(self.narrow.clone());
        let dense = |x: Tensor<3>, w: &Tensor<2>| module::linear(x, w.clone(), bias());
        let [q, k, v] = [0, 1, 2].map(|i| split(dense(x.clone(), &self.square[i])));
        let y = dense(join(stock_attention(q, k, v, mask)), &self.square[3]);
        let norm = |x| module::layer_norm(x, self.narrow.clone(), bias(), 1e-12);
        let x = norm(y + x);
        let y = module::linear(x.clone(), self.up.clone(), Some(self.wide.clone()));
        let y = dense(activation::gelu(y), &self.down);
        let z = activation::gelu(module::linear(y.clone(), self.adapter[0].clone(), None));
        let y = module::linear(z, self.adapter[1].clone(), None) + y;
        norm(y + x)
    }
}

fn split(x: Tensor<3>) -> Tensor<4> {
    x.reshape([BATCH, TOKENS, HEADS, HIDDEN / HEADS])
        .swap_dims(1, 2)
}

fn join(y: Tensor<4>) -> Tensor<3> {
    y.swap_dims(1, 2).reshape([BATCH, TOKENS, HIDDEN])
}

fn stock_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &Tensor<2>) -> Tensor<4> {
    let scores = q.matmul(k.swap_dims(2, 3)).mul_scalar(0.125);
    let bias = (mask.clone() - 1.0) * 1e30;
    let scores = scores + bias.reshape([BATCH, 1, 1, TOKENS]);
    activation::softmax(scores, 3).matmul(v)
}

fn main() {
    let tuned = tune_allocator();
    println!(
        "{}; allocator tuned: {tuned}; milliseconds, stock Burn -> fused",
        cpu_features()
    );
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str()));
    let device = Device::flex();
    let hidden = filled([BATCH, TOKENS, HIDDEN], &device);
    let inner = filled([BATCH, TOKENS, INNER], &device);
    let dropout_site = Dropout {
        rate: 0.1,
        rows: (0..BATCH as u32).collect(),
    };

    if wants("overhead") {
        let none = [f64::NAN; 2];
        report(
            "overhead of the loss, 2048x768",
            none,
            times(&hidden, &hidden, |x| x),
        );
        report(
            "overhead of the loss, 2048x3072",
            none,
            times(&inner, &inner, |x| x),
        );
    }
    if wants("linear") {
        let (w, b) = (filled([HIDDEN, INNER], &device), filled([INNER], &device));
        let down = filled([INNER, HIDDEN], &device);
        // There and back, so that input and output have one shape.
        let stock = times(&hidden, &hidden, |x| {
            let y = module::linear(x, w.clone(), Some(b.clone()));
            module::linear(y, down.clone(), None)
        });
        let flat = times(&hidden, &hidden, |x| {
            let x: Tensor<2> = x.reshape([BATCH * TOKENS, HIDDEN]);
            let y = module::linear(x, w.clone(), Some(b.clone()));
            module::linear(y, down.clone(), None).reshape([BATCH, TOKENS, HIDDEN])
        });
        let fused = times(&hidden, &hidden, |x| {
            linear(linear(x, w.clone(), Some(b.clone())), down.clone(), None)
        });
        report("linear 2048x768x3072x768", stock, fused);
        report("  stock flattened first", flat, fused);
    }
    if wants("gelu") {
        report(
            "gelu 2048x3072",
            times(&inner, &inner, activation::gelu),
            times(&inner, &inner, gelu),
        );
        let stock = times(&inner, &inner, activation::gelu_approximate);
        report(
            "gelu_tanh 2048x3072",
            stock,
            times(&inner, &inner, gelu_tanh),
        );
    }
    if wants("layer_norm") {
        let (gamma, beta) = (filled([HIDDEN], &device), filled([HIDDEN], &device));
        let stock = times(&hidden, &hidden, |x| {
            module::layer_norm(x, gamma.clone(), Some(beta.clone()), 1e-12)
        });
        let fused = times(&hidden, &hidden, |x| {
            layer_norm(x, gamma.clone(), beta.clone(), 1e-12)
        });
        report("layer_norm 2048x768", stock, fused);
        let stock = times(&hidden, &hidden, |x| {
            module::layer_norm(x + hidden.clone(), gamma.clone(), Some(beta.clone()), 1e-12)
        });
        let fused = times(&hidden, &hidden, |x| {
            add_layer_norm(x, hidden.clone(), gamma.clone(), beta.clone(), 1e-12)
        });
        report("add_layer_norm 2048x768", stock, fused);
    }
    if wants("dropout") {
        let fused = times(&hidden, &hidden, |x| dropout(x, &dropout_site));
        report("dropout 16x128x768", [f64::NAN; 2], fused);
    }
    if wants("attention") {
        let mask = Tensor::ones([BATCH, TOKENS], &device);
        let stock = times(&hidden, &hidden, |x| {
            let [q, k, v] = [x.clone(), x.clone(), x].map(split);
            join(stock_attention(q, k, v, &mask))
        });
        for (name, site) in [
            ("attention 16x12x128x64", None),
            ("  with dropout", Some(&dropout_site)),
        ] {
            let fused = times(&hidden, &hidden, |x| {
                let [q, k, v] = [x.clone(), x.clone(), x].map(split);
                join(attention(q, k, v, mask.clone(), site))
            });
            report(name, stock, fused);
        }
        let fused = times(&hidden, &hidden, |x| {
            let [q, k, v] = [x.clone(), x.clone(), x].map(split);
            join(attention_causal(q, k, v, None, None))
        });
        report("  causal", [f64::NAN; 2], fused);
    }
    if wants("layers") {
        // Two layers, so that the second one's frozen part is differentiated; twelve take six times that.
        let mask = Tensor::ones([BATCH, TOKENS], &device);
        let layers = [Layer::new(&device), Layer::new(&device)];
        let step = |fused: bool, train: bool| {
            let start = Instant::now();
            let mut x = hidden.clone();
            if train {
                x = x.autodiff().require_grad();
            }
            for layer in &layers {
                x = if fused {
                    layer.fused(x, &mask)
                } else {
                    layer.stock(x, &mask)
                };
            }
            if train {
                drop(x.mean().backward());
            }
            start.elapsed().as_secs_f64() * 1e3
        };
        // In turn, so that both meet the same disturbances.
        let (mut stock, mut fused) = ([f64::INFINITY; 2], [f64::INFINITY; 2]);
        for _ in 0..7 {
            for (i, train) in [false, true].into_iter().enumerate() {
                stock[i] = stock[i].min(step(false, train));
                fused[i] = fused[i].min(step(true, train));
            }
        }
        report("two encoder layers with adapters", stock, fused);
    }
}
