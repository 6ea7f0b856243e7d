//! The rounds.

use std::time::{Duration, Instant};

use crate::scene::{Call, Scene};

/// What one program took, every time it ran, shortest first.
pub(crate) struct Cost {
    pub(crate) name: String,
    pub(crate) size: u64,
    times: Vec<Duration>,
}

impl Cost {
    fn of(call: &Call) -> Self {
        Self { name: call.name.clone(), size: call.size(), times: Vec::new() }
    }

    pub(crate) fn shortest(&self) -> Duration {
        self.at(0)
    }

    pub(crate) fn median(&self) -> Duration {
        self.at(self.times.len() / 2)
    }

    /// Three in four runs were not longer than this.
    pub(crate) fn upper_quartile(&self) -> Duration {
        self.at(self.times.len() * 3 / 4)
    }

    fn at(&self, index: usize) -> Duration {
        *self.times.get(index).unwrap()
    }
}

/// All of it, in the order of the scene.
pub(crate) struct Costs {
    pub(crate) floors: Vec<Cost>,
    /// Ours and the shell twin.
    pub(crate) pairs: Vec<(Cost, Cost)>,
    /// With a Vault, and with everything in files.
    pub(crate) vaults: Vec<(Cost, Cost)>,
}

impl Costs {
    pub(crate) fn measured(scene: &mut Scene, rounds: usize) -> Self {
        let mut floors: Vec<Cost> = scene.floors.iter().map(Cost::of).collect();
        let pair = |pair: &crate::scene::Pair| (Cost::of(&pair.ours), Cost::of(&pair.twin));
        let mut pairs: Vec<(Cost, Cost)> = scene.pairs.iter().map(pair).collect();
        let mut vaults: Vec<(Cost, Cost)> = scene.vaults.iter().map(pair).collect();
        for _ in 0..rounds {
            for (call, cost) in scene.floors.iter().zip(&mut floors) {
                cost.times.push(time(call));
            }
            let measured = scene.pairs.iter().zip(&mut pairs).chain(scene.vaults.iter().zip(&mut vaults));
            for (pair, (ours, twin)) in measured {
                ours.times.push(time(&pair.ours));
                twin.times.push(time(&pair.twin));
            }
        }
        let both = pairs.iter_mut().chain(&mut vaults).flat_map(|(ours, twin)| [ours, twin]);
        let all = floors.iter_mut().chain(both);
        all.for_each(|cost| cost.times.sort_unstable());
        Self { floors, pairs, vaults }
    }
}

/// From before the start to after the end of the output and of the process. A run that fails has no cost.
fn time(call: &Call) -> Duration {
    let mut command = call.command();
    let begun = Instant::now();
    let output = command.output().unwrap();
    let time = begun.elapsed();
    assert!(output.status.success(), "{}: {}", call.name, String::from_utf8_lossy(&output.stderr));
    time
}
