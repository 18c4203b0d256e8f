//! The engine keeps its promises in bad worlds: links that break anything into pieces, stall and are cut at any byte,
//! a slow disk, a hub that crashes. `LEVERET_SEEDS=1000` lives in so many of them, `LEVERET_SEED=7` in that one.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use leveret_tests::world::{SECOND, World, claims};

/// Worlds of an ordinary `cargo test`, which is not optimised.
const SEEDS: u64 = 20;
const STORM: u64 = 60 * SECOND;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// Lives through one world, and says what is wrong with it.
fn live(seed: u64) -> (World, claims::Faults) {
    let mut world = World::seeded(seed);
    world.settle();
    world.storm(STORM);
    world.calm();
    world.take_stock();
    let mut faults = claims::judge(&world);
    world.leave();
    faults.extend(claims::nothing_is_left(&world));
    faults.extend(world.forget_everybody());
    (world, faults)
}

fn assert_good(seed: u64) {
    let (world, faults) = live(seed);
    assert!(
        faults.is_empty(),
        "{} ({} faults):\n  {}",
        world.name(),
        faults.len(),
        faults
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n  ")
    );
}

#[test]
fn promises_hold_in_every_world() {
    if let Some(seed) = number("LEVERET_SEED") {
        return assert_good(seed);
    }
    let seeds = number("LEVERET_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let live_on = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            // The message of the panic names the seed unless the engine itself panicked: so name it here too.
            if catch_unwind(AssertUnwindSafe(|| assert_good(seed))).is_err() {
                eprintln!("failed: LEVERET_SEED={seed}");
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(live_on);
        }
    });
    let failed = failed.load(Ordering::Relaxed);
    assert!(
        failed == 0,
        "{failed} of {seeds} worlds failed; LEVERET_SEED repeats one of them"
    );
}

#[test]
fn a_seed_makes_the_same_world_again() {
    let (one, _) = live(1);
    let (other, _) = live(1);
    assert_eq!(one.trace(), other.trace());
}
