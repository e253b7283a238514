//! Passes over one batch that share what lies below the first adaptation.

use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig, LowRankConfig};
use adamix_core::parameter;
use adamix_core::routing::{Decision, Routes};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::Source;
use adamix_models::pass::{Below, Pass, PassDropout};
use adamix_models::site::{Adaptable, Attachment};
use burn::tensor::{Device, Tensor};

const TEXTS: [[i32; 8]; 2] = [[2, 7, 9, 3, 2, 8, 10, 3], [2, 5, 6, 3, 2, 12, 4, 3]];

fn encoder_config(dropout: f64) -> EncoderConfig {
    let mut config = EncoderConfig::named("minilm-l6").unwrap();
    config.vocab_size = 20;
    config.hidden_size = 16;
    config.num_hidden_layers = 3;
    config.num_attention_heads = 2;
    config.intermediate_size = 32;
    config.max_position_embeddings = 8;
    config.initializer_range = 0.2;
    config.with_dropout(dropout)
}

fn encoder(attachment: &Attachment, layers: usize, dropout: f64) -> SequenceClassifier {
    let device = Device::flex().autodiff();
    let config = SequenceClassifierConfig {
        encoder: encoder_config(dropout),
        outputs: 3,
        pooling: Pooling::Mean,
    };
    let model = config
        .build_all(&Source::random(Key::new(1), &device))
        .unwrap();
    let model = parameter::set_trainable(model, |info| info.name.starts_with("classifier"));
    let model = model.attach(
        core::slice::from_ref(attachment),
        layers,
        Key::new(2),
        &device,
    );
    model.unwrap()
}

fn decoder_config(dropout: f64) -> Gpt2Config {
    Gpt2Config::new(20, 8, 16, 3, 2).with_dropout(dropout)
}

fn decoder(attachment: &Attachment, layers: usize, dropout: f64) -> Gpt2 {
    let device = Device::flex().autodiff();
    let source = Source::random(Key::new(1), &device);
    let model = Gpt2::build(&decoder_config(dropout), &source).unwrap();
    let model = parameter::set_trainable(model, |_| false);
    let model = model.attach(
        core::slice::from_ref(attachment),
        layers,
        Key::new(2),
        &device,
    );
    model.unwrap()
}

/// Adapters after the feed-forward block, also after attention, and updates inside of it.
fn attachments() -> [Attachment; 3] {
    let adapter = || BottleneckConfig::new(4).with_initializer_range(0.3);
    let adapter = || AdaptationConfig::Bottleneck(adapter());
    let update = LowRankConfig::new(2).with_equal_start(false);
    [
        Attachment::new(adapter()),
        Attachment::new(adapter()).at(["attention-block", "ffn-block"]),
        Attachment::new(AdaptationConfig::LowRank(update)).at(["query", "value"]),
    ]
}

/// One expert everywhere.
fn routes(model: &impl Adaptable, expert: usize) -> Routes {
    let sites = model.sites().into_iter();
    let sites = sites.map(|s| (s.name, Decision::diagonal(expert, s.down, s.up)));
    sites.collect()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.without_autodiff().into_data();
    data.try_to_vec::<f32>().unwrap()
}

/// Logits and gradients of two passes along two routes, over a text each.
fn two_passes<M: Adaptable>(
    model: &M,
    texts: [usize; 2],
    below: Option<&Below>,
    dropout: bool,
    logits: impl Fn(usize, &Pass<'_>) -> Tensor<2>,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let dropout = dropout.then_some(PassDropout {
        key: Key::new(5),
        examples: &[1, 2],
    });
    let both = [0, 1].map(|pass| {
        let routes = routes(model, pass);
        let pass_along = Pass {
            dropout,
            below,
            ..Pass::along(&routes)
        };
        logits(texts[pass], &pass_along)
    });
    let values = both.iter().map(|logits| host(logits.clone())).collect();
    let [first, second] = both;
    let mut tape = (first.square().sum() + second.square().sum()).backward();
    let gradients = parameter::gradients(model, &mut tape).into_values();
    (values, gradients.map(host).collect())
}

fn check<M: Adaptable>(
    make: impl Fn(&Attachment, usize, f64) -> M,
    logits: impl Fn(&M, usize, &Pass<'_>) -> Tensor<2>,
    shares: impl Fn(usize, usize) -> bool,
) {
    for (kind, attachment) in attachments().iter().enumerate() {
        for layers in [0, 1] {
            let model = make(attachment, layers, 0.1);
            let of = |text: usize, pass: &Pass<'_>| logits(&model, text, pass);
            let with =
                |texts, below: Option<&Below>, drops| two_passes(&model, texts, below, drops, of);
            // The same to the last bit.
            let own = with([0, 0], None, false);
            assert_eq!(with([0, 0], Some(&Below::default()), false), own);
            // What is below is taken from the first text, if there is anything; with dropout below, nothing is.
            let found = with([0, 1], Some(&Below::default()), false).0;
            assert_eq!(found == own.0, shares(kind, layers), "{kind} {layers}");
            let dropped = with([0, 1], None, true);
            assert_eq!(with([0, 1], Some(&Below::default()), true), dropped);
            // Rates of zero drop nothing.
            let model = make(attachment, layers, 0.0);
            let of = |text: usize, pass: &Pass<'_>| logits(&model, text, pass);
            let found = two_passes(&model, [0, 1], Some(&Below::default()), true, of).0;
            assert_eq!(found == own.0, shares(kind, layers), "{kind} {layers}");
        }
    }
}

#[test]
fn an_encoder_runs_what_is_below_once() {
    let logits = |model: &SequenceClassifier, text: usize, pass: &Pass<'_>| {
        let device = Device::flex().autodiff();
        let input = EncoderInput::new(
            &encoder_config(0.0),
            &TEXTS[text],
            &[0; 8],
            &[1.0; 8],
            4,
            &device,
        );
        model.forward(&input, pass)
    };
    check(encoder, logits, |_, _| true);
}

#[test]
fn a_decoder_runs_what_is_below_once() {
    let logits = |model: &Gpt2, text: usize, pass: &Pass<'_>| {
        let device = Device::flex().autodiff();
        let ids = TEXTS[text].map(|id| id as u32);
        let input = DecoderInput::new(&decoder_config(0.0), &ids, 4, &device).unwrap();
        let logits = model.forward(&input, pass);
        let [rows, tokens, classes] = logits.dims();
        logits.reshape([rows * tokens, classes])
    };
    // Where attention is adapted in the first adapted layer, nothing is shared.
    check(decoder, logits, |kind, _| kind == 0);
}
