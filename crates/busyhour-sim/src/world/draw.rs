//! Chance: streams that depend on a seed and on what they are for, and the distributions drawn from
//! them. Two things that are drawn from different streams never disturb each other.

use std::sync::LazyLock;

use fastrand::Rng;

/// Points in a table of quantiles, as a power of two.
const BITS: u32 = 12;
/// Points in a table of quantiles.
pub(crate) const POINTS: usize = 1 << BITS;
/// Shapes of the gamma distributions that losses vary by: from windows much unlike each other to
/// windows that are nearly alike.
pub(crate) const GAMMA_SHAPES: [f64; 3] = [1.0, 2.0, 6.0];
/// Above this mean a Poisson count is drawn as a rounded normal one.
const POISSON_NORMAL: f64 = 24.0;

/// Quantiles of the standard normal distribution.
static NORMAL: LazyLock<Box<[f32]>> = LazyLock::new(|| quantiles(|z| z));
/// Quantiles of gamma distributions of mean 1.
static GAMMA: LazyLock<[Box<[f32]>; 3]> =
    LazyLock::new(|| GAMMA_SHAPES.map(|shape| quantiles(|z| gamma_quantile(shape, z))));

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Regions,
    Topology,
    Calendar,
    Load,
    RecordedLoad,
    Links,
    LinkLoad,
    LinkNoise,
    Episodes,
    Troubles,
    Targets,
    Presence,
    Windows,
    Bursts,
}

/// The stream of a thing: independent of every other thing's and purpose's.
pub(crate) fn stream(seed: u64, purpose: Purpose, region: u32, thing: u32) -> Rng {
    Rng::with_seed(key(seed, purpose, region, thing))
}

/// A number that stands for a thing.
pub(crate) fn key(seed: u64, purpose: Purpose, region: u32, thing: u32) -> u64 {
    let what = (purpose as u64) << 56 | u64::from(region) << 24 | u64::from(thing);
    mix(mix(seed ^ 0x9e37_79b9_7f4a_7c15) ^ what)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
#[inline]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The distributions, ready to be drawn from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables {
    normal: &'static [f32],
    gamma: [&'static [f32]; 3],
}

impl Tables {
    pub(crate) fn get() -> Self {
        let [a, b, c] = &*GAMMA;
        Self { normal: &NORMAL, gamma: [a, b, c] }
    }

    /// The standard normal value that twelve bits stand for.
    #[inline]
    pub(crate) fn normal_of(self, bits: u64) -> f32 {
        self.normal.get(bits as usize & (POINTS - 1)).copied().unwrap_or(0.0)
    }

    /// A standard normal value, within ±3.7.
    pub(crate) fn normal(self, rng: &mut Rng) -> f32 {
        self.normal_of(rng.u64(..) >> (64 - BITS))
    }

    /// A count whose mean varies from window to window as a gamma distribution of that shape:
    /// negative binomial.
    #[inline]
    pub(crate) fn clumped(self, rng: &mut Rng, mean: f64, shape: usize) -> u32 {
        let point = (rng.u64(..) >> (64 - BITS)) as usize;
        let factor = self.gamma.get(shape).and_then(|table| table.get(point)).copied();
        self.poisson(rng, mean * f64::from(factor.unwrap_or(1.0)))
    }

    /// A Poisson count: Knuth's product method, or a rounded normal value for large means.
    #[inline]
    pub(crate) fn poisson(self, rng: &mut Rng, mean: f64) -> u32 {
        if mean > POISSON_NORMAL {
            let value = mean + mean.sqrt() * f64::from(self.normal(rng)) + 0.5;
            return value.max(0.0) as u32;
        }
        // Two terms bound exp(-mean) from below: most windows lose nothing.
        let mut product = rng.f64();
        if product <= 1.0 - mean {
            return 0;
        }
        let limit = (-mean).exp();
        let mut count = 0;
        while product > limit {
            product *= rng.f64();
            count += 1;
        }
        count
    }
}

/// A value whose logarithm is normal, around `median`.
pub(crate) fn lognormal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * f64::from(Tables::get().normal(rng))).exp()
}

/// A value between two others.
pub(crate) fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.f64()
}

/// True with that probability.
#[inline]
pub(crate) fn chance(rng: &mut Rng, probability: f64) -> bool {
    rng.f64() < probability
}

/// One of several.
pub(crate) fn one_of<T: Copy>(rng: &mut Rng, choices: &[T]) -> Option<T> {
    rng.choice(choices).copied()
}

/// The place of one of several weights, drawn in proportion.
pub(crate) fn weighted(rng: &mut Rng, weights: &[f64]) -> usize {
    let mut left = rng.f64() * weights.iter().sum::<f64>();
    for (place, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return place;
        }
    }
    weights.len().saturating_sub(1)
}

/// How often something happens that happens `mean` times on average.
pub(crate) fn how_often(rng: &mut Rng, mean: f64) -> u32 {
    Tables::get().poisson(rng, mean)
}

/// The middle of each of [`POINTS`] equal parts of a distribution that is a function of a normal one.
fn quantiles(of: impl Fn(f64) -> f64) -> Box<[f32]> {
    let at = |point: usize| (point as f64 + 0.5) / POINTS as f64;
    (0..POINTS).map(|point| of(normal_quantile(at(point))) as f32).collect()
}

/// The gamma quantile of mean 1 that belongs to a normal one (Wilson and Hilferty 1931), close enough
/// for shapes of 1 and more.
fn gamma_quantile(shape: f64, z: f64) -> f64 {
    let ninth = 1.0 / (9.0 * shape);
    (1.0 - ninth + z * ninth.sqrt()).max(0.0).powi(3)
}

/// The inverse of the normal distribution function, by bisection of [`normal_share`]; 4096 of them
/// are made once.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The share of a standard normal distribution below `z`: Abramowitz and Stegun 7.1.26, within
/// 1.5e-7.
pub(crate) fn normal_share(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * series * (-x * x).exp();
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, square / values.len() as f64)
    }

    #[test]
    fn distributions_have_their_means_and_variances() {
        let (tables, mut rng) = (Tables::get(), Rng::with_seed(1));
        let mut check = |draw: &mut dyn FnMut(&mut Rng) -> f64, mean: f64, variance: f64| {
            let values: Vec<f64> = (0..60_000).map(|_| draw(&mut rng)).collect();
            let got = mean_and_variance(&values);
            assert!((got.0 - mean).abs() < 0.03 * (mean + 1.0), "{got:?} against mean {mean}");
            assert!((got.1 / variance - 1.0).abs() < 0.1, "{got:?} against variance {variance}");
        };
        check(&mut |rng| f64::from(tables.normal(rng)), 0.0, 1.0);
        for mean in [0.2, 3.0, 20.0, 60.0] {
            check(&mut |rng| f64::from(tables.poisson(rng, mean)), mean, mean);
        }
        // A negative binomial count of shape k has the variance m + m²/k.
        for (shape, k) in [(0, 1.0), (1, 2.0), (2, 6.0)] {
            check(&mut |rng| f64::from(tables.clumped(rng, 5.0, shape)), 5.0, 5.0 + 25.0 / k);
        }
    }

    #[test]
    fn streams_differ_by_seed_purpose_region_and_thing() {
        let keys = [
            key(1, Purpose::Load, 0, 0),
            key(2, Purpose::Load, 0, 0),
            key(1, Purpose::Links, 0, 0),
            key(1, Purpose::Load, 1, 0),
            key(1, Purpose::Load, 0, 1),
        ];
        let distinct: std::collections::BTreeSet<u64> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
