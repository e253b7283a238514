//! Mean, standard deviation and t-interval of a few values.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The level of every interval in tables and figures.
pub const LEVEL: f64 = 0.95;

/// A range that covers the true value at the level that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a few values say of their mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (divided by n - 1); none of a single value.
    pub sd: Option<f64>,
    /// The interval of Student's t for the mean; none of a single value.
    pub interval: Option<Interval>,
}

impl Summary {
    /// Summarises values; nothing to say of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let sd = standard_deviation(values);
        let half = |sd: f64| student(n - 1, 0.5 + LEVEL / 2.0) * sd / (n as f64).sqrt();
        let interval = sd.map(|sd| Interval {
            low: mean - half(sd),
            high: mean + half(sd),
        });
        Some(Self {
            n,
            mean,
            sd,
            interval,
        })
    }
}

/// The standard deviation with n - 1 in its denominator.
pub(super) fn standard_deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

/// The quantile of Student's t.
fn student(freedom: usize, probability: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom as f64).expect("positive degrees of freedom");
    t.inverse_cdf(probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-8 * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn equals_scipy() {
        // scipy 1.x: mean, std(ddof=1), stats.t.interval(0.95, n - 1, mean, sd / sqrt(n)).
        for (values, mean, sd, low, high) in [
            (
                &[81.2, 80.4, 82.1, 79.9, 81.0][..],
                80.92,
                0.834_865_258_589_667_6,
                79.883_377_865_058_14,
                81.956_622_134_941_87,
            ),
            (
                &[79.8, 80.1, 80.2, 79.5, 80.6],
                80.04,
                0.415_932_686_861_707_03,
                79.523_551_357_047_65,
                80.556_448_642_952_33,
            ),
            (
                &[81.2, 80.4, 82.1],
                81.233_333_333_333_33,
                0.850_490_054_811_532_5,
                79.120_598_914_707_4,
                83.346_067_751_959_27,
            ),
            (
                &[81.2, 80.4],
                80.8,
                0.565_685_424_949_236,
                75.717_518_105_530_15,
                85.882_481_894_469_88,
            ),
        ] {
            let found = Summary::of(values).unwrap();
            let interval = found.interval.unwrap();
            close(found.mean, mean);
            close(found.sd.unwrap(), sd);
            close(interval.low, low);
            close(interval.high, high);
        }
    }

    #[test]
    fn one_value_has_no_spread_and_none_no_mean() {
        let one = Summary::of(&[3.0]).unwrap();
        assert_eq!((one.n, one.mean, one.sd), (1, 3.0, None));
        assert!(one.interval.is_none() && Summary::of(&[]).is_none());
    }

    #[test]
    fn quantiles_equal_scipy() {
        // scipy.stats.t.ppf
        for (probability, freedom, value) in [
            (0.975, 1, 12.706_204_736_174_694),
            (0.975, 4, 2.776_445_105_197_793_4),
            (0.995, 9, 3.249_835_541_592_126),
            (0.9, 30, 1.310_415_025_391_395_5),
        ] {
            close(student(freedom, probability), value);
        }
    }
}
