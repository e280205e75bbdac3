use super::*;

const BUDGETS: Budgets = Budgets { traced: 1.25, idle: 1.05 };

/// Sixteen rounds of three requests of two endpoints; `factor` says how many times as long each way takes.
fn measured(with_plain: bool, factor: impl Fn(Arm, usize) -> f64) -> Measured {
    let endpoints = ["GET /a/{n}", "POST /b", "GET /a/{n}"].map(str::to_owned).to_vec();
    let rounds = (0..16_u8).map(|round| {
        // The machine drifts, and each way is a little off: one part in a thousand, in turn.
        let drift = 1.0 + f64::from(round) / 10.0;
        let sample = |arm: Arm| {
            let wobble = 1.0 + 0.001 * f64::from((round * 7 + arm as u8 * 3) % 5);
            let steps: Vec<f64> = [0.1, 0.2, 0.3]
                .iter()
                .enumerate()
                .map(|(step, time)| time * drift * wobble * factor(arm, step))
                .collect();
            let whole = steps.iter().sum::<f64>() + 0.05;
            Sample { steps, whole }
        };
        Arm::all(with_plain).into_iter().map(|arm| (arm, sample(arm))).collect()
    });
    Measured { endpoints, rounds: rounds.collect(), failures: Vec::new(), given_up: false }
}

#[test]
fn each_endpoint_has_its_own_cost() {
    let cost = analyse(
        "a",
        &measured(true, |arm, step| if arm == Arm::Traced && step == 1 { 1.5 } else { 1.0 }),
        BUDGETS,
    );
    let names: Vec<_> = cost.rows.iter().map(|row| (row.name.as_str(), row.requests)).collect();
    assert_eq!(names, [("requests", 3), ("replay", 3), ("GET /a/{n}", 2), ("POST /b", 1)]);
    assert!((cost.rows[3].traced.value - 1.5).abs() < 0.01, "{:?}", cost.rows[3]);
    assert!(cost.rows[2].traced.covers(1.0), "{:?}", cost.rows[2]);
    // A third of the time is half as long again.
    assert!((cost.rows[0].traced.value - 1.1667).abs() < 0.01, "{:?}", cost.rows[0]);
    assert_eq!((cost.state, cost.reasons.len()), (State::Held, 0));
    assert!(cost.rows[0].idle.is_some_and(|idle| idle.covers(1.0)));
}

#[test]
fn a_budget_that_breaks_says_by_how_much() {
    let cost = analyse("a", &measured(true, |arm, _| if arm == Arm::Traced { 1.5 } else { 1.0 }), BUDGETS);
    assert_eq!(cost.state, State::Broken);
    assert!(cost.reasons[0].starts_with("requests, traced: it costs at least 4"), "{:?}", cost.reasons);
    let idle = analyse("a", &measured(true, |arm, _| if arm == Arm::Idle { 1.2 } else { 1.0 }), BUDGETS);
    assert_eq!(idle.state, State::Broken);
    assert!(
        idle.reasons[0].starts_with("requests, the idle agent: it costs at least 19"),
        "{:?}",
        idle.reasons
    );
}

#[test]
fn without_an_app_without_the_agent_that_is_not_measured() {
    let cost = analyse("a", &measured(false, |arm, _| if arm == Arm::Traced { 1.1 } else { 1.0 }), BUDGETS);
    assert!(cost.rows.iter().all(|row| row.idle.is_none() && !row.seconds.contains_key(&Arm::Plain)));
    assert!((cost.rows[0].traced.value - 1.1).abs() < 0.01);
    assert_eq!(cost.rows[0].judged.keys().collect::<Vec<_>>(), [&Arm::Traced]);
}

#[test]
fn twins_that_differ_make_it_inconclusive() {
    let mut noisy = measured(true, |_, _| 1.0);
    for (number, round) in noisy.rounds.iter_mut().enumerate() {
        let factor = if number % 2 == 0 { 1.6 } else { 1.0 };
        round.get_mut(&Arm::Twin).unwrap().steps.iter_mut().for_each(|time| *time *= factor);
    }
    let cost = analyse("a", &noisy, BUDGETS);
    assert_eq!(cost.state, State::Inconclusive, "{:?}", cost.reasons);
    assert!(
        cost.reasons.iter().any(|reason| reason.contains("two twins differ by up to")),
        "{:?}",
        cost.reasons
    );
}

#[test]
fn noise_is_how_far_the_twins_differ_whatever_tracing_costs() {
    let quiet = noise(&measured(true, |arm, _| if arm == Arm::Traced { 9.0 } else { 1.0 })).unwrap();
    assert!(quiet < 0.01, "{quiet}");
    let twins = noise(&measured(true, |arm, _| if arm == Arm::Twin { 1.2 } else { 1.0 })).unwrap();
    assert!((0.15..0.21).contains(&twins), "{twins}");
    let mut few = measured(true, |_, _| 1.0);
    few.rounds.truncate(FEWEST - 1);
    assert_eq!(noise(&few), None);
}

#[test]
fn outliers_are_named_and_do_not_decide() {
    let mut odd = measured(true, |_, _| 1.0);
    odd.rounds[4].get_mut(&Arm::Traced).unwrap().steps[1] = 30.0;
    let cost = analyse("a", &odd, BUDGETS);
    let outlier = &cost.outliers[0];
    assert_eq!(
        (outlier.arm, outlier.round, outlier.step, outlier.name.as_str()),
        (Arm::Traced, 5, Some(2), "POST /b")
    );
    assert_eq!(cost.state, State::Held, "{:?}", cost.reasons);
    assert!((cost.rows[0].traced.value - 1.0).abs() < 0.02, "{:?}", cost.rows[0]);
}

#[test]
fn too_few_rounds_are_a_failure_and_no_number() {
    let mut few = measured(true, |_, _| 1.0);
    few.rounds.truncate(FEWEST - 1);
    few.failures.push("traced replay in round 8: step 1 (GET /a/1): answered 500 instead of 200".to_owned());
    let cost = analyse("a", &few, BUDGETS);
    assert_eq!((cost.state, cost.rows.len(), cost.reasons.len()), (State::Failed, 0, 2));
}
