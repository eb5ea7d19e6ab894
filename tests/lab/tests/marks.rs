//! What happens to a packet's marking on the way: code points, congestion marks, time to live.

use lab::{Installation, Network, REFLECTOR, REFLECTOR_V6, Setup, number};
use serde_json::Value;

fn lab(target: &str) -> Option<(Network, Installation)> {
    lab_with(target, Setup::default())
}

fn lab_with(target: &str, setup: Setup<'_>) -> Option<(Network, Installation)> {
    let network = Network::new()?;
    let (near, far) = (network.agent(), network.reflector());
    let installation = Installation::start_with(near, far, target, setup);
    Some((network, installation))
}

fn last(windows: &[Value]) -> &Value {
    windows.last().expect("a window")
}

/// Lets the router do `rule`, and only that, until windows show `seen`; the newest one.
fn with_rule(
    (network, installation): &mut (Network, Installation),
    rule: &str,
    seen: impl Fn(&Value) -> bool,
) -> Value {
    network.nft("flush chain inet lab impair");
    network.nft(&format!("add rule inet lab impair {rule}"));
    let windows = installation.wait_until(rule, |windows| windows.last().is_some_and(&seen));
    last(&windows).clone()
}

#[test]
fn a_rewritten_code_point_shows_in_the_direction_it_was_rewritten_in() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    let seen = |window: &Value| [window["dscp_up"].as_u64(), window["dscp_down"].as_u64()];
    let clean = lab.1.wait_for_windows(1);
    assert_eq!(seen(last(&clean)), [Some(46), Some(46)]);
    assert_eq!(last(&clean)["dscp_up_changed"], 0);

    let rule = "udp dport 862 ip dscp ef ip dscp set cs1";
    let up = with_rule(&mut lab, rule, |window| window["dscp_up"] == 8);
    assert_eq!(seen(&up), [Some(8), Some(46)]);
    assert!(up["dscp_up_changed"].as_u64() > Some(0) && up["dscp_down_changed"] == 0);

    let rule = "udp sport 862 ip dscp ef ip dscp set cs0";
    let down = with_rule(&mut lab, rule, |window| window["dscp_down"] == 0);
    assert_eq!(seen(&down), [Some(46), Some(0)]);
    assert!(down["dscp_down_changed"].as_u64() > Some(0));
}

#[test]
fn a_rewritten_congestion_mark_shows_in_the_direction_it_was_rewritten_in() {
    let target = format!("{REFLECTOR}:862");
    let setup = Setup { target: "ecn = \"ect0\"\n", ..Setup::default() };
    let Some(mut lab) = lab_with(&target, setup) else { return };
    let seen = |window: &Value| ["ecn_up", "ecn_down"].map(|field| window[field].clone());
    let changed =
        |window: &Value| ["ecn_up_changed", "ecn_down_changed"].map(|field| number(window, field));
    let congested =
        |window: &Value| ["ecn_up_ce", "ecn_down_ce"].map(|field| number(window, field));
    let clean = lab.1.wait_for_windows(1);
    let clean = last(&clean);
    assert_eq!(
        (&clean["ecn_sent"], seen(clean)),
        (&"ect0".into(), ["ect0", "ect0"].map(Value::from))
    );
    assert_eq!((changed(clean), congested(clean)), ([0, 0], [0, 0]));

    let rule = "udp dport 862 ip ecn set ce";
    let up = with_rule(&mut lab, rule, |window| window["ecn_up"] == "ce");
    assert_eq!(up["ecn_down"], "ect0", "{up}");
    assert!(congested(&up)[0] > 0 && congested(&up)[1] == 0, "{up}");
    assert_eq!((up["dscp_up"].as_u64(), number(&up, "dscp_up_changed")), (Some(46), 0), "{up}");

    let rule = "udp sport 862 ip ecn set ce";
    let down = with_rule(&mut lab, rule, |window| window["ecn_down"] == "ce");
    assert!(congested(&down)[1] > 0, "{down}");

    // Congestion is the network's to mark; to take the mark's possibility away is not.
    let rule = "udp dport 862 ip ecn set not-ect";
    let bleached = with_rule(&mut lab, rule, |window| window["ecn_up"] == "not-ect");
    assert!(changed(&bleached)[0] > 0, "{bleached}");
}

#[test]
fn the_hops_of_each_direction_show_in_the_time_to_live_and_so_does_their_change() {
    let Some(mut lab) = lab(&format!("{REFLECTOR}:862")) else { return };
    let clean = lab.1.wait_for_windows(2);
    let clean = last(&clean);
    assert_eq!((clean["ttl_up"].as_u64(), clean["ttl_down"].as_u64()), (Some(63), Some(63)));
    assert_eq!((number(clean, "ttl_up_changes"), number(clean, "ttl_down_changes")), (0, 0));

    // As behind a route that is 13 hops longer one way only.
    let rule = "udp dport 862 ip ttl set 50";
    let up = with_rule(&mut lab, rule, |window| window["ttl_up"] == 50);
    assert_eq!(up["ttl_down"], 63, "{up}");
    let changes = |field| lab.1.windows().iter().map(|window| number(window, field)).sum::<u64>();
    assert!(changes("ttl_up_changes") >= 1, "the change itself is seen");
    assert_eq!(changes("ttl_down_changes"), 0);
}

#[test]
fn ipv6_tells_the_same_of_its_traffic_class_and_hop_limit() {
    let Some(mut lab) = lab(&format!("[{REFLECTOR_V6}]:862")) else { return };
    let clean = lab.1.wait_for_windows(1);
    let clean = last(&clean);
    assert_eq!((clean["dscp_up"].as_u64(), clean["dscp_down"].as_u64()), (Some(46), Some(46)));
    assert_eq!((clean["ttl_up"].as_u64(), clean["ttl_down"].as_u64()), (Some(63), Some(63)));

    let rule = "udp sport 862 ip6 dscp set cs1 ip6 ecn set ce ip6 hoplimit set 50";
    let down = with_rule(&mut lab, rule, |window| window["dscp_down"] == 8);
    assert_eq!((down["ecn_down"].as_str(), down["ttl_down"].as_u64()), (Some("ce"), Some(50)));
    assert_eq!((down["dscp_up"].as_u64(), down["ttl_up"].as_u64()), (Some(46), Some(63)), "{down}");
    assert_eq!(down["ecn_up"], down["ecn_sent"], "{down}");
}
