//! The model's side of a search: along which paths it runs.

use adamix_core::routing::{Inference, RoutedPath};

use crate::gpt2::Gpt2;

/// A model as it is run: along one path through its mixtures, or along several whose logits make one answer.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// The model, outside autodiff.
    pub model: &'a Gpt2,
    /// One path at least. What they draw for an example depends on its prompt and on nothing else of the batch.
    pub paths: Vec<RoutedPath>,
    /// What makes one answer of several.
    pub inference: Inference,
}

impl<'a> From<&'a Gpt2> for Served<'a> {
    /// A plain or merged model, which has one path.
    fn from(model: &'a Gpt2) -> Self {
        Self {
            model,
            paths: vec![RoutedPath::through(0)],
            inference: Inference::Merged,
        }
    }
}

#[cfg(test)]
mod tests {
    use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig};
    use adamix_core::options::Options;
    use adamix_core::routing::{Dense, POLICIES, RoutingPolicy};
    use adamix_keys::Key;
    use burn::module::Module;
    use burn::tensor::Device;
    use std::sync::Arc;

    use super::*;
    use crate::gpt2::generate::session::name_of;
    use crate::gpt2::generate::{Greedy, HuggingFaceBeam};
    use crate::gpt2::{DecoderInput, Gpt2Config};
    use crate::hub::Source;
    use crate::pass::Pass;
    use crate::site::{Adaptable, Attachment, SiteError};

    const PROMPTS: [&[u32]; 2] = [&[1, 2, 3], &[4]];

    /// A decoder with adapters of three experts and what a policy learns for them.
    fn routed(policy: &dyn RoutingPolicy) -> Result<Gpt2, SiteError> {
        let mut config = Gpt2Config::new(30, 32, 16, 2, 2);
        config.initializer_range = 0.4;
        let device = Device::flex();
        let model = Gpt2::build(&config, &Source::random(Key::new(3), &device)).unwrap();
        let adapters = BottleneckConfig::new(4)
            .with_experts(3)
            .with_initializer_range(0.8);
        let adapters = Attachment::new(AdaptationConfig::Bottleneck(adapters));
        let model = model.attach(&[adapters], 0, Key::new(4), &device)?;
        Ok(model.route(policy, Key::new(5), &device)?.no_grad())
    }

    fn answering(model: &Gpt2, inference: Inference, policy: Arc<dyn RoutingPolicy>) -> Served<'_> {
        Served {
            model,
            paths: inference.paths(&policy, &model.sites(), 3, Key::new(6)),
            inference,
        }
    }

    /// The likeliest token, from whole passes without a cache over the text alone.
    fn next(served: &Served<'_>, prompt: &[u32], sequence: &[u32]) -> u32 {
        let (config, device) = (served.model.config(), Device::flex());
        let input = DecoderInput::new(config, sequence, sequence.len(), &device).unwrap();
        let place = [sequence.len() as i32 - 1];
        let name = [name_of(prompt)];
        let logits = served.paths.iter().map(|path| {
            let routed = path.pass(&name);
            let pass = Pass::routed(&routed);
            served.model.logits_at(&input, &place, &pass)
        });
        let logits = served.inference.combined(logits.collect()).into_data();
        let logits: Vec<f32> = logits.try_to_vec().unwrap();
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        logits.iter().position(|l| *l == best).unwrap() as u32
    }

    /// Searches both prompts at once and compares each token with [`next`].
    fn check(served: &Served<'_>) -> Vec<Vec<u32>> {
        let greedy = Greedy {
            new_tokens: 8,
            end: Vec::new(),
        };
        let together = greedy.search(served.clone(), &PROMPTS).unwrap();
        for (prompt, found) in PROMPTS.iter().zip(&together) {
            let mut sequence = prompt.to_vec();
            for token in &found.tokens {
                assert_eq!(*token, next(served, prompt, &sequence), "{served:?}");
                sequence.push(*token);
            }
        }
        together.into_iter().map(|found| found.tokens).collect()
    }

    #[test]
    fn several_paths_give_one_answer() {
        let policy: Arc<dyn RoutingPolicy> = Arc::new(Dense::default());
        let model = routed(policy.as_ref()).unwrap();
        let modes = [
            Inference::Fixed,
            Inference::Ensemble,
            Inference::RandomEnsemble,
            Inference::MonteCarlo,
            Inference::Random,
        ];
        let found = modes.map(|mode| check(&answering(&model, mode, policy.clone())));
        for (i, one) in found.iter().enumerate().skip(1) {
            assert_ne!(*one, found[0], "{:?}", modes[i]);
        }
    }

    /// Token by token with a cache a text is routed as in one pass over the whole, by every policy that can be.
    #[test]
    fn every_policy_routes_a_text_as_it_is_written() {
        for name in POLICIES.names() {
            let policy = POLICIES.make(name, &Options::NONE).unwrap();
            match routed(policy.as_ref()) {
                Ok(model) => {
                    let served = answering(&model, Inference::Routed, policy);
                    check(&served);
                    // A beam of one takes the same tokens.
                    let beam = HuggingFaceBeam {
                        beams: 1,
                        length_penalty: 1.0,
                        no_repeat_ngram: 0,
                        new_tokens: 8,
                        end: Vec::new(),
                        early_stopping: Default::default(),
                    };
                    let found = beam.search(served.clone(), &PROMPTS).unwrap();
                    let found: Vec<_> = found.into_iter().map(|found| found.tokens).collect();
                    assert_eq!(found, check(&served), "{name}");
                }
                Err(error) => {
                    assert!(policy.looks_ahead(), "{error}");
                    assert!(error.to_string().contains("later tokens"), "{error}");
                }
            }
        }
    }
}
