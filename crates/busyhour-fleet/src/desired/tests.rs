use super::*;

fn words(name: &str) -> TargetWords {
    TargetWords { name: name.to_owned(), ..TargetWords::default() }
}

fn desired(targets: &[TargetWords]) -> Result<Desired, InvalidDesired> {
    let targets = targets.iter().map(DesiredTarget::new).collect::<Result<_, _>>()?;
    Desired::new(targets, DesiredBudget::new(None, None)?)
}

#[test]
fn what_is_left_out_is_as_usual() {
    let target = DesiredTarget::new(&words("reflector.example:862")).unwrap();
    assert_eq!(target.profile().name, "audio-50");
    assert_eq!((target.window().as_secs(), target.period().as_secs()), (15, 60));
    assert_eq!((target.agents_per_subnet(), target.requirement()), (Some(2), None));
    assert_eq!(target.mean_bits_per_second(), 14_500);
    let budget = DesiredBudget::new(None, None).unwrap();
    assert_eq!((budget.subnet, budget.building), (200_000, 200_000));
}

#[test]
fn a_segment_says_by_what_it_is_judged_unless_that_is_said() {
    use RequirementProfile as Judged;

    let told = |segment: &str, requirement: Option<&str>| {
        let segment = Some(segment.to_owned());
        let requirement = requirement.map(str::to_owned);
        DesiredTarget::new(&TargetWords { segment, requirement, ..words("a:1") })
            .unwrap()
            .requirement()
    };
    for (segment, requirement, expected) in [
        ("client-to-microsoft-edge", None, Judged::ClientToMicrosoftEdge),
        ("site-edge-to-microsoft-edge", None, Judged::SiteEdgeToMicrosoftEdge),
        ("building-to-building", None, Judged::None),
        ("client-to-site-edge", Some("client-to-microsoft-edge"), Judged::ClientToMicrosoftEdge),
    ] {
        assert_eq!(told(segment, requirement), Some(expected), "{segment}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_target_and_the_problem() {
    let of = |words: TargetWords, problem: &str| {
        let said = DesiredTarget::new(&words).unwrap_err().to_string();
        assert!(said.contains(problem) && said.contains(&words.name), "{said}");
    };
    for name in ["", "reflector", "reflector:0", "reflector:99999", "a b:1", "::1:862", "[x]:1"] {
        assert!(DesiredTarget::new(&words(name)).is_err(), "{name:?}");
    }
    let text = |text: &str| Some(text.to_owned());
    of(TargetWords { profile: text("audio-51"), ..words("a:1") }, "audio-50");
    of(TargetWords { profile: text("burst-200"), ..words("a:1") }, "than a call");
    of(TargetWords { segment: text("the moon"), ..words("a:1") }, "building-to-building");
    of(TargetWords { requirement: text("perfect"), ..words("a:1") }, "perfect");
    of(TargetWords { window_ms: Some(99), ..words("a:1") }, "window_ms");
    of(TargetWords { period_ms: Some(14_999), ..words("a:1") }, "period_ms");
    of(TargetWords { period_ms: Some(240_001), ..words("a:1") }, "period_ms");
    of(TargetWords { agents_per_subnet: Some(1_001), ..words("a:1") }, "agents_per_subnet");
    assert!(DesiredBudget::new(Some(999), None).is_err());
    assert!(DesiredBudget::new(None, Some(u32::MAX)).is_err());
}

#[test]
fn targets_are_bounded_in_number_and_each_is_there_once() {
    let many = |count: usize| (0..count).map(|n| words(&format!("a{n}:1"))).collect::<Vec<_>>();
    assert!(desired(&many(64)).is_ok());
    assert_eq!(desired(&many(65)), Err(InvalidDesired::TooManyTargets(65)));
    let twice = [words("a:1"), words("a:1")];
    assert!(desired(&twice).unwrap_err().to_string().contains("two with this name"));
    let other = TargetWords { profile: Some("best-effort-50".to_owned()), ..words("a:1") };
    assert!(desired(&[words("a:1"), other]).is_ok());
}

#[test]
fn the_store_gives_back_what_it_was_given_and_bytes_of_others_are_refused() {
    let far = TargetWords {
        profile: Some("low-1".to_owned()),
        segment: Some("building-to-building".to_owned()),
        requirement: Some("none".to_owned()),
        window_ms: Some(200),
        period_ms: Some(1_000),
        agents_per_subnet: Some(0),
        ..words("[2001:db8::1]:862")
    };
    let all = desired(&[words("a:1"), far]).unwrap();
    let body = all.encode();
    assert_eq!(Desired::decode(&body), Ok(all));
    for length in 1..body.len() {
        // Whatever is read of it is valid, or nothing is.
        let _ = Desired::decode(&body[..length]);
    }
    assert!(Desired::decode(&[0xff; 9]).is_err());
}

#[test]
fn a_difference_names_what_came_what_changed_and_what_went() {
    let slower = TargetWords { period_ms: Some(120_000), ..words("b:1") };
    let before = desired(&[words("a:1"), words("b:1")]).unwrap();
    let after = desired(&[slower, words("c:1")]).unwrap();
    let found = difference(Some(&before), &after);
    let subjects: Vec<&str> = found.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(subjects, ["b:1 audio-50", "c:1 audio-50", "a:1 audio-50"]);
    let there: Vec<_> = found.iter().map(|d| (d.before.is_some(), d.after.is_some())).collect();
    assert_eq!(there, [(true, true), (false, true), (true, false)]);
    assert!(found[0].after.as_ref().unwrap().contains("period_ms=120000"));
    assert_eq!(difference(Some(&before), &before), []);
    assert_eq!(difference(None, &before).len(), 4, "two targets, two budgets");
}

#[test]
fn a_configuration_has_a_name_that_can_be_typed() {
    for name in ["branches", "Berlin.2026-11", "a_b"] {
        check_name(name).unwrap();
    }
    for name in ["", "a b", "ä", &"x".repeat(65), "a/b"] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
}
