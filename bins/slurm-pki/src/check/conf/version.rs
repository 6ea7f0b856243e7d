//! Which Slurm this is: 25.05.0 asks for certificates in another way, keeps none, and its manual is wrong.

use super::super::finding::Findings;
use super::super::scene::Scene;

/// The first that these programs are for.
const FIRST: (u32, u32, u32) = (25, 5, 1);

/// Looks at what slurmctld says of itself.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    let Some(version) = scene.running.get("SLURM_VERSION") else { return };
    match parse(version) {
        Some(is) if is < FIRST => found.critical(
            "slurm-version",
            format!("slurmctld is Slurm {version}: TLS with certmgr needs 25.05.1 or later"),
            "update Slurm before TLS is turned on",
        ),
        _ => found.ok("slurm-version", format!("slurmctld is Slurm {version}")),
    }
}

fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (text, old) in [("25.05.0", true), ("24.11.7", true), ("25.05.1", false), ("26.05.3-1", false)] {
            assert_eq!(parse(text).is_some_and(|is| is < FIRST), old, "{text}");
        }
        assert_eq!(parse("master"), None);
    }
}
