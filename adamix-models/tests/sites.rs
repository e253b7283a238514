//! What can sit at the places of one model together, and which policies decide for it.

use adamix_core::adaptation::{
    AdaptationConfig, BottleneckConfig, LowRankConfig, PrefixConfig, VirtualTokensConfig,
};
use adamix_core::parameter;
use adamix_core::random::Initializer;
use adamix_core::routing::{
    Dense, Moment, RoutedPass, RoutingPolicy, Smear, Stochastic, StochasticPerToken, Task,
};
use adamix_keys::Key;
use adamix_models::encoder::{
    EncoderConfig, EncoderInput, Pooling, SequenceClassifier, SequenceClassifierConfig,
};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config};
use adamix_models::hub::Source;
use adamix_models::pass::Pass;
use adamix_models::site::{Adaptable, Attachment, SiteError};
use burn::tensor::{Device, Tensor};

fn adapters(experts: usize) -> Attachment {
    let config = BottleneckConfig::new(2)
        .with_experts(experts)
        .with_initializer_range(0.5);
    Attachment::new(AdaptationConfig::Bottleneck(config))
}

fn updates(experts: usize) -> Attachment {
    let config = LowRankConfig::new(2).with_experts(experts);
    Attachment::new(AdaptationConfig::LowRank(config))
}

fn prefix(experts: usize) -> Attachment {
    let config = PrefixConfig::new(2).with_experts(experts);
    Attachment::new(AdaptationConfig::Prefix(config))
}

fn prompt(experts: usize) -> Attachment {
    let config = VirtualTokensConfig::new(2).with_experts(experts);
    Attachment::new(AdaptationConfig::VirtualTokens(config))
}

fn decoder_config() -> Gpt2Config {
    Gpt2Config::new(20, 12, 8, 2, 2)
}

fn decoder(attachments: &[Attachment]) -> Result<Gpt2, SiteError> {
    let device = Device::flex();
    let source = Source::random(Key::new(1), &device);
    let model = Gpt2::build(&decoder_config(), &source).unwrap();
    model.attach(attachments, 0, Key::new(2), &device)
}

fn encoder_config() -> EncoderConfig {
    let mut config = EncoderConfig::named("minilm-l6").unwrap();
    config.vocab_size = 20;
    config.hidden_size = 8;
    config.num_hidden_layers = 2;
    config.num_attention_heads = 2;
    config.intermediate_size = 16;
    config.max_position_embeddings = 12;
    config
}

fn encoder(attachments: &[Attachment]) -> Result<SequenceClassifier, SiteError> {
    let device = Device::flex();
    let config = SequenceClassifierConfig {
        encoder: encoder_config(),
        outputs: 2,
        pooling: Pooling::Mean,
    };
    let source = Source::random(Key::new(1), &device);
    let model = config.build_all(&source).unwrap();
    model.attach(attachments, 0, Key::new(2), &device)
}

fn routed<M: Adaptable>(model: M, policy: &dyn RoutingPolicy) -> Result<M, SiteError> {
    model.route(policy, Key::new(3), &Device::flex())
}

/// Values of a pass that a policy routes over two examples.
fn run<const D: usize>(
    policy: &dyn RoutingPolicy,
    forward: impl Fn(&Pass<'_>) -> Tensor<D>,
) -> Vec<f32> {
    let moment = Moment::draw(Key::new(4), 1);
    let routed = RoutedPass::new(policy, moment, &[5, 6], false);
    let y = forward(&Pass::routed(&routed)).into_data();
    y.try_to_vec::<f32>().unwrap()
}

fn run_decoder(model: &Gpt2, policy: &dyn RoutingPolicy) -> Vec<f32> {
    let ids = [1, 2, 3, 4, 5, 6];
    let input = DecoderInput::new(&decoder_config(), &ids, 3, &Device::flex()).unwrap();
    run(policy, |pass| model.forward(&input, pass))
}

fn run_encoder(model: &SequenceClassifier, policy: &dyn RoutingPolicy) -> Vec<f32> {
    let (ids, mask) = ([1, 2, 3, 4, 5, 0], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    let device = Device::flex();
    let input = EncoderInput::new(&encoder_config(), &ids, &[0; 6], &mask, 3, &device);
    run(policy, |pass| model.forward(&input, pass))
}

fn fault<M>(found: Result<M, SiteError>) -> String {
    match found {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

/// GPT-2's prefix is decided for at the site of the half block that it is in, and the parts of a fused map at the map's.
#[test]
fn what_shares_a_decision_has_as_many_experts() {
    let block = |experts| adapters(experts).at(["attention-block"]);
    for attachments in [
        [prefix(4), block(2)],
        [prefix(1), block(2)],
        [updates(1).at(["query"]), updates(2).at(["value"])],
        [updates(2).at(["query-key-value"]), updates(3).at(["key"])],
    ] {
        let error = fault(decoder(&attachments));
        assert!(error.contains("decided for as one"), "{error}");
        assert!(error.contains("`transformer.h.0.attn"), "{error}");
    }
    for attachments in [
        [prefix(1), block(1)],
        [prefix(2), block(2)],
        [updates(2).at(["query"]), updates(2).at(["value"])],
    ] {
        let model = decoder(&attachments).unwrap();
        assert_eq!(model.sites().len(), 2);
        let found = run_decoder(&routed(model, &Stochastic {}).unwrap(), &Stochastic {});
        assert!(found.iter().all(|value| value.is_finite()));
    }
    let between = decoder(&[prefix(2), updates(2), block(2)]).unwrap();
    assert_eq!(between.sites().len(), 4);
    // On an encoder each has a site of its own.
    encoder(&[prefix(4), block(2)]).unwrap();
    // Once it is in a cache a prefix asks no more, and the adapter has not what the policy learns.
    let model = decoder(&[prefix(2), block(2)]).unwrap();
    let error = fault(routed(model, &Task::default()));
    assert!(error.contains("shares its site with a prefix"), "{error}");
    let model = decoder(&[updates(2).at(["query", "value"])]).unwrap();
    let model = routed(model, &Task::default()).unwrap();
    run_decoder(&model, &Task::default());
}

#[test]
fn a_single_module_is_no_concern_of_a_policy() {
    let (dense, per_token) = (Dense::default(), StochasticPerToken {});
    for policy in [&dense as &dyn RoutingPolicy, &per_token] {
        let model = decoder(&[prefix(1), adapters(3)]).unwrap();
        run_decoder(&routed(model, policy).unwrap(), policy);
        let error = fault(routed(decoder(&[prefix(3), adapters(3)]).unwrap(), policy));
        assert!(error.contains("cannot tell tokens apart"), "{error}");
        let model = encoder(&[prompt(1), adapters(3)]).unwrap();
        run_encoder(&routed(model, policy).unwrap(), policy);
    }
    // Nothing is there to be routed at all.
    for single in [prefix(1), prompt(1), prompt(1).at(["layer"])] {
        routed(decoder(&[single]).unwrap(), &dense).unwrap();
    }
    let smear = Smear::default();
    let model = encoder(&[prompt(1), adapters(3)]).unwrap();
    run_encoder(&routed(model, &smear).unwrap(), &smear);
}

/// A decoder with a cache reads virtual tokens before the prompt, in one pass with it: what is decided for each of the
/// former is no decision for each token of the latter.
#[test]
fn virtual_tokens_that_are_read_apart_take_no_decision_for_each_token() {
    let (dense, per_token, smear) = (Dense::default(), StochasticPerToken {}, Smear::default());
    let layer = || prompt(1).at(["layer"]);
    for policy in [&dense as &dyn RoutingPolicy, &per_token] {
        for tokens in [prompt(1), layer()] {
            let model = decoder(&[tokens, adapters(3)]).unwrap();
            let error = fault(routed(model, policy));
            assert!(error.contains("stands beside virtual tokens"), "{error}");
        }
    }
    for policy in [&dense as &dyn RoutingPolicy, &per_token, &smear] {
        let maps = updates(3).at(["key", "value"]);
        let error = fault(routed(encoder(&[layer(), maps]).unwrap(), policy));
        assert!(error.contains("stands beside virtual tokens"), "{error}");
    }
    let model = decoder(&[prompt(1), adapters(3)]).unwrap();
    routed(model, &Stochastic {}).unwrap();
}

/// Where two places of a layer end alike, `same_in_layers` tells them apart; all others have the key of their last segment.
#[test]
fn places_of_a_layer_do_not_start_alike() {
    let device = Device::flex();
    let mut config = decoder_config();
    config.n_inner = Some(config.n_embd);
    let update = LowRankConfig::new(2).with_experts(1);
    let update = AdaptationConfig::LowRank(update);
    let start = |places: &[&str]| {
        let model = Gpt2::build(&config, &Source::zeros(&device)).unwrap();
        let attachment = Attachment {
            same_in_layers: true,
            ..Attachment::new(update.clone()).at(places.iter().copied())
        };
        let model = model.attach(&[attachment], 0, Key::new(2), &device);
        parameter::export(&model.unwrap(), |info| info.name.contains(".down."))
    };
    let of = |layer: usize, place: &str| {
        format!("transformer.h.{layer}.{place}.c_proj.adamix.down.0.weight")
    };
    let both = start(&["attention-projection", "ffn-2"]);
    assert_eq!(both.len(), 4);
    for place in ["attn", "mlp"] {
        assert_eq!(both[&of(0, place)], both[&of(1, place)]);
    }
    assert_ne!(both[&of(0, "attn")], both[&of(0, "mlp")]);
    // Alone, or beside one of another name, a place starts as it always did.
    let bound = Initializer::Uniform(1.0 / (config.n_embd as f64).sqrt());
    let key = Key::new(2).purpose("c_proj").purpose("down");
    let drawn = bound.sample(key, 2 * config.n_embd);
    for places in [
        &["attention-projection"][..],
        &["attention-projection", "ffn-1"],
    ] {
        let found = start(places);
        // `[rank, input]` in the file, `[input, rank]` as it was drawn.
        let transposed = (0..2).flat_map(|r| (0..config.n_embd).map(move |i| 2 * i + r));
        let expected: Vec<f32> = transposed.map(|i| drawn[i]).collect();
        assert_eq!(found[&of(1, "attn")].values, expected);
    }
}
