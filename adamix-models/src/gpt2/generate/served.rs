//! The model's side of a search: along which paths it runs.

use adamix_core::routing::Routes;

use crate::gpt2::Gpt2;

/// A model as it is run: along one path through its mixtures, or as the mean of the logits over several.
#[derive(Clone, Debug)]
pub struct Served<'a> {
    /// The model, outside autodiff.
    pub model: &'a Gpt2,
    /// The routes of each path, one at least; a site without a decision runs its first expert.
    pub paths: Vec<Routes>,
}

impl<'a> From<&'a Gpt2> for Served<'a> {
    /// A plain or merged model, which has one path.
    fn from(model: &'a Gpt2) -> Self {
        Self {
            model,
            paths: vec![Routes::new()],
        }
    }
}

#[cfg(test)]
mod tests {
    use adamix_core::adaptation::{AdaptationConfig, BottleneckConfig};
    use adamix_core::routing::Decision;
    use adamix_keys::Key;
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;
    use crate::gpt2::generate::Greedy;
    use crate::gpt2::{DecoderInput, Gpt2Config};
    use crate::hub::Source;
    use crate::pass::Pass;
    use crate::site::{Adaptable, Attachment};

    /// The token with the largest sum of logits over the paths, from whole passes without a cache.
    fn next(served: &Served<'_>, sequence: &[u32]) -> u32 {
        let input = DecoderInput::new(
            served.model.config(),
            sequence,
            sequence.len(),
            &Device::flex(),
        )
        .unwrap();
        let mut sums = vec![0f32; served.model.config().vocab_size];
        for routes in &served.paths {
            let place = [sequence.len() as i32 - 1];
            let logits = served
                .model
                .logits_at(&input, &place, &Pass::along(routes))
                .into_data()
                .try_to_vec::<f32>()
                .unwrap();
            sums.iter_mut().zip(logits).for_each(|(sum, l)| *sum += l);
        }
        let best = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        sums.iter().position(|sum| *sum == best).unwrap() as u32
    }

    #[test]
    fn several_paths_answer_with_their_mean() {
        let mut config = Gpt2Config::new(30, 32, 16, 2, 2);
        config.initializer_range = 0.4;
        let device = Device::flex();
        let model = Gpt2::build(&config, &Source::random(Key::new(3), &device)).unwrap();
        let adapters = BottleneckConfig::new(4)
            .with_experts(3)
            .with_initializer_range(0.8);
        let adapters = Attachment::new(AdaptationConfig::Bottleneck(adapters));
        let model = model.attach(&[adapters], 0, Key::new(4), &device);
        let model = model.unwrap().no_grad();
        let path = |expert| {
            let sites = model.sites().into_iter();
            sites
                .map(|s| (s.name, Decision::diagonal(expert, s.down, s.up)))
                .collect()
        };
        let served = Served {
            model: &model,
            paths: (0..3).map(path).collect(),
        };
        let greedy = Greedy {
            new_tokens: 8,
            end: Vec::new(),
        };
        let prompts: [&[u32]; 2] = [&[1, 2, 3], &[4]];
        let together = greedy.search(served.clone(), &prompts).unwrap();
        for (prompt, found) in prompts.iter().zip(&together) {
            let mut sequence = prompt.to_vec();
            for token in &found.tokens {
                assert_eq!(*token, next(&served, &sequence));
                sequence.push(*token);
            }
        }
        let first = greedy.search(&model, &prompts).unwrap();
        assert_ne!(first, together);
    }
}
