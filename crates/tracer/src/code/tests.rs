use super::*;

#[test]
fn masks_grow_in_both_directions() {
    let mut code = Code::new(FileId(0), 10);
    for line in [12, 10, 7, 40] {
        code.see(line, u64::from(line));
    }
    for line in [7, 10, 12, 40] {
        assert_eq!(code.seen(line), Some(u64::from(line)));
    }
    for line in [1, 8, 11, 39, 41] {
        assert_eq!(code.seen(line), Some(0));
    }
}

#[test]
fn lines_far_apart_are_nobodys() {
    let mut code = Code::new(FileId(0), 1_000_000);
    for line in [1, 1_000_000 + 65_536, u32::MAX] {
        code.see(line, 1);
        assert_eq!(code.seen(line), None);
    }
    code.see(1_000_000, 1);
    code.see(1_000_000 - 65_536, 1);
    assert_eq!(code.seen(1_000_000 - 65_536), None);
    assert_eq!(code.seen(1_000_000), Some(1));
}

#[test]
fn the_budget_grows_with_the_lines_and_comes_back_with_arming() {
    let spent = |code: &mut Code| (1..100_000).find(|_| code.spend_line()).unwrap();
    let mut small = Code::new(FileId(0), 1);
    let mut large = Code::new(FileId(0), 1);
    small.see(1, 1);
    large.see(1, 1);
    large.see(1000, 1);
    assert_eq!(spent(&mut small), BUDGET + BUDGET_PER_LINE);
    assert_eq!(spent(&mut large), BUDGET + 1000 * BUDGET_PER_LINE);
    assert!(small.spend_line());
    small.armed();
    assert!(!small.spend_line());
}

#[test]
fn complete_is_every_line_by_everybody() {
    let mut code = Code::new(FileId(0), 1);
    assert!(code.is_undescribed() && !code.is_complete(1, 1));
    code.describe(None);
    assert!(!code.is_undescribed() && !code.is_complete(1, 1));
    code.describe(Some(vec![2, 3, 5]));
    for line in [2, 3] {
        code.see(line, 3);
    }
    assert!(!code.is_complete(1, 1));
    code.see(5, 1);
    assert!(code.is_complete(1, 1));
    assert!(!code.is_complete(3, 2), "another context lacks a line");
    code.see(5, 2);
    assert!(code.is_complete(3, 2));
    code.forget(1);
    assert!(!code.is_complete(3, 3), "a new context took the place of the first one");
}
