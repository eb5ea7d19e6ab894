//! The smoke graph of a path.

use busyhour_chart::{Scatter, Smoke, SmokeSpan, SmokeStep, SpanKind, Svg};

use crate::{HOSTILE, assert_well_formed};

fn step(n: usize) -> SmokeStep {
    let gap = (10..14).contains(&n);
    let outage = n == 20;
    let base = n as f64 % 5.0 + 20.0;
    let scatter =
        Scatter { p5: base, p25: base + 1.0, p50: base + 2.0, p75: base + 6.0, p95: base + 30.0 };
    SmokeStep {
        time: format!("Mon {:02}:{:02} {HOSTILE}", n / 4, n % 4 * 15),
        tick: n.is_multiple_of(8).then(|| format!("{:02}:00", n / 4)),
        scatter: (!gap && !outage).then_some(scatter),
        loss: match n {
            _ if gap => None,
            20 => Some(1.0),
            30 => Some(0.000_1),
            _ => Some(0.0),
        },
        windows: if gap { (0, 0) } else { (15, u32::from(outage) * 15) },
        passed: n < 90,
    }
}

fn draw(steps: &[SmokeStep]) -> Svg {
    let span =
        |kind, from, until| SmokeSpan { kind, from, until, name: format!("{kind:?} {HOSTILE}") };
    let spans = [span(SpanKind::Incident, 40, 48), span(SpanKind::Maintenance, 60, 200)];
    let changes = [(33, format!("10.0.0.1 to 10.0.0.2 {HOSTILE}"))];
    let name = format!("path {HOSTILE}");
    Smoke { name: &name, steps, limit: Some(100.0), spans: &spans, changes: &changes }.draw()
}

#[test]
fn the_smoke_graph_is_well_formed_and_the_same_each_time() {
    let steps: Vec<SmokeStep> = (0..96).map(step).collect();
    assert_well_formed(&draw(&steps));
    assert_eq!(draw(&steps), draw(&steps));
    assert_well_formed(&draw(&[]));
    let mut odd = steps;
    odd[3].scatter =
        Some(Scatter { p5: f64::NAN, p25: -1.0, p50: f64::INFINITY, p75: 0.0, p95: 1e300 });
    assert_well_formed(&draw(&odd));
}

#[test]
fn what_was_not_observed_is_hatched_and_what_is_to_come_is_not() {
    let steps: Vec<SmokeStep> = (0..96).map(step).collect();
    let svg = draw(&steps);
    assert_eq!(
        svg.as_str().matches(": no data\"").count(),
        1,
        "one gap, and not the rest of the day"
    );
    assert_eq!(svg.as_str().matches("class=\"hatch\"").count(), 2, "above and below");
    // A step in which nothing came back was observed.
    assert!(svg.as_str().contains("nothing came back, 100 % lost; 15 of 15 windows bad"));
}

#[test]
fn a_little_loss_is_seen_and_no_loss_is_not() {
    let lossy = |svg: &Svg| svg.as_str().contains("class=\"bad\" aria-hidden");
    let steps: Vec<SmokeStep> = (0..96).map(step).collect();
    assert!(lossy(&draw(&steps[28..32])), "one packet in ten thousand");
    assert!(!lossy(&draw(&steps[..9])));
}

#[test]
fn a_changed_path_and_what_holds_for_a_while_are_named() {
    let steps: Vec<SmokeStep> = (0..96).map(step).collect();
    let svg = draw(&steps);
    for name in ["10.0.0.1 to 10.0.0.2", "Incident ", "Maintenance "] {
        assert!(svg.as_str().contains(&format!("aria-label=\"{name}")), "{name}");
    }
    assert!(!svg.as_str().contains("<script"));
}
