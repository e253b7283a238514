//! Where dropout acts: both models written out, with the mask of each place.

use adamix_keys::Key;
use adamix_models::encoder::{
    Encoder, EncoderConfig, EncoderInput, Pooling, SequenceClassifierConfig,
};
use adamix_models::gpt2::{DecoderInput, Gpt2, Gpt2Config, Transformer};
use adamix_models::hub::Source;
use adamix_models::pass::{Pass, PassDropout};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Tensor};

const PASS: Pass<'static> = Pass {
    dropout: Some(PassDropout {
        key: Key::new(5),
        examples: &[40, 41],
    }),
    ..Pass::EVALUATION
};

fn dropped<const D: usize>(x: Tensor<D>, place: &str, rate: f64) -> Tensor<D> {
    adamix_kernels::dropout(x, &PASS.dropout_at(place, rate).unwrap())
}

fn check<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    let values = |x: Tensor<D>| x.into_data().try_to_vec::<f32>().unwrap();
    let (found, expected) = (values(found), values(expected));
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(&expected) {
        assert!((f - e).abs() < 1e-4, "{f} instead of {e}");
    }
}

/// The last hidden states of two rows of six tokens, of a model with two heads of width 8.
fn encoded(encoder: &Encoder, input: &EncoderInput, family: &str) -> Tensor<3> {
    let embedded = encoder.embeddings.forward(input, &Pass::EVALUATION, "");
    let mut x = dropped(embedded, "embeddings", 0.3);
    for (i, layer) in encoder.encoder.layer.iter().enumerate() {
        let place = format!("{family}.encoder.layer.{i}.output");
        let (maps, output) = (&layer.attention.self_attention, &layer.attention.output);
        let [q, k, v] = [&maps.query, &maps.key, &maps.value].map(|map| {
            let y = map.map.forward(x.clone());
            y.reshape([2, 6, 2, 8]).swap_dims(1, 2)
        });
        let probabilities = PASS.dropout_at(&format!("{place}.attention.self"), 0.2);
        let mask = input.mask.clone();
        let y = adamix_kernels::attention(q, k, v, mask, probabilities.as_ref());
        let y = output
            .dense
            .map
            .forward(y.swap_dims(1, 2).reshape([2, 6, 16]));
        let y = dropped(y, &format!("{place}.attention.output"), 0.3);
        x = output.LayerNorm.forward_sum(y, x);
        let inner = layer.intermediate.dense.map.forward(x.clone());
        let y = dropped(layer.output.dense.map.after_gelu(inner), &place, 0.3);
        x = layer.output.LayerNorm.forward_sum(y, x);
    }
    x
}

#[test]
fn every_place_of_an_encoder_drops_by_its_own_mask() {
    let device = Device::flex();
    for (name, family) in [("minilm-l6", "bert"), ("roberta-base", "roberta")] {
        let encoder = EncoderConfig {
            vocab_size: 40,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 32,
            max_position_embeddings: 12,
            initializer_range: 0.2,
            hidden_dropout_prob: 0.3,
            attention_probs_dropout_prob: 0.2,
            classifier_dropout: Some(0.4),
            ..EncoderConfig::named(name).unwrap()
        };
        let pad = encoder.pad_id() as i32;
        let ids = [2, 7, 9, 11, 13, 3, 2, 8, 10, 3, pad, pad];
        let mask = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0];
        let input = EncoderInput::new(&encoder, &ids, &[0; 12], &mask, 6, &device);
        let config = SequenceClassifierConfig {
            encoder,
            outputs: 3,
            pooling: Pooling::Cls,
        };
        let source = Source::random(Key::new(1), &device);
        let model = config.build_all(&source).unwrap();
        let hidden = encoded(&model.base, &input, family);
        check(model.base.forward(&input, &PASS), hidden.clone());

        let first: Tensor<2> = hidden.narrow(1, 0, 1).squeeze_dim(1);
        let logits = match (&model.bert_head, &model.roberta_head) {
            (Some(head), _) => head.forward(dropped(first, "classifier", 0.4)),
            (_, Some(head)) => {
                let x = dropped(first, "classifier.dense", 0.4);
                let x = head.dense.forward(x).tanh();
                let x = dropped(x, "classifier.out_proj", 0.4);
                head.out_proj.forward(x)
            }
            _ => unreachable!("a model has a head"),
        };
        check(model.forward(&input, &PASS), logits);
    }
}

/// The hidden states of the decoder after its last norm.
fn decoded(decoder: &Transformer, input: &DecoderInput) -> Tensor<3> {
    let words = embedding(decoder.wte.weight.val(), input.ids.clone());
    let x = words + embedding(decoder.wpe.weight.val(), input.positions.clone());
    let mut x = dropped(x, "transformer.drop", 0.1);
    for (i, block) in decoder.h.iter().enumerate() {
        let site = format!("transformer.h.{i}");
        let normed = block.ln_1.forward(x.clone());
        let [q, k, v] = block.attn.c_attn.forward(normed, &Pass::EVALUATION, "");
        let probabilities = PASS.dropout_at(&format!("{site}.attn.attn_dropout"), 0.2);
        let y = adamix_kernels::attention_causal(q, k, v, None, probabilities.as_ref());
        let y = y.swap_dims(1, 2).reshape(x.dims());
        let y = block.attn.c_proj.forward(y, &Pass::EVALUATION, "");
        x = x + dropped(y, &format!("{site}.attn.resid_dropout"), 0.3);
        let normed = block.ln_2.forward(x.clone());
        let y = block.mlp.forward(normed, &Pass::EVALUATION, "");
        x = x + dropped(y, &format!("{site}.mlp"), 0.3);
    }
    decoder.ln_f.forward(x)
}

#[test]
fn every_place_of_a_decoder_drops_by_its_own_mask() {
    let device = Device::flex();
    let config = Gpt2Config {
        embd_pdrop: 0.1,
        attn_pdrop: 0.2,
        resid_pdrop: 0.3,
        initializer_range: 0.2,
        ..Gpt2Config::new(20, 8, 16, 2, 2)
    };
    let model = Gpt2::build(&config, &Source::random(Key::new(1), &device)).unwrap();
    let ids = [3, 5, 6, 7, 9, 2, 4, 8, 11, 1, 10, 0];
    let input = DecoderInput::new(&config, &ids, 6, &device).unwrap();
    let expected = decoded(&model.transformer, &input);
    check(model.transformer.forward(&input, None, &PASS), expected);
}
