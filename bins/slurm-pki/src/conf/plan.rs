//! What is to change in Slurm's files, and the same for a person who does it by hand.

use super::change::Change;
use super::editing::Editing;
use super::lines::Lines;
use super::wish::Wish;

/// What is to change, and the same for a person.
#[derive(Debug)]
pub(super) struct Plan {
    slurm: Editing,
    dbd: Option<Editing>,
    /// The lines as a person types them, merged with what stands there.
    pub(super) by_hand: Vec<String>,
}

impl Plan {
    /// For these files and lines.
    ///
    /// # Errors
    /// When a line cannot be written.
    pub(super) fn new(mut slurm: Editing, mut dbd: Option<Editing>, lines: &Lines) -> anyhow::Result<Self> {
        let mut by_hand = vec!["# slurm.conf, on every host".to_owned()];
        for wish in lines.slurm_conf.iter().filter_map(|line| Wish::of_line(line)).chain([Wish::audit()]) {
            by_hand.push(shown(&slurm, &wish));
            slurm.grant(&wish)?;
        }
        if let Some(dbd) = &mut dbd {
            by_hand.push("# slurmdbd.conf".to_owned());
            for wish in lines.slurmdbd_conf.iter().filter_map(|line| Wish::of_line(line)) {
                by_hand.push(shown(dbd, &wish));
                dbd.grant(&wish)?;
            }
        }
        Ok(Self { slurm, dbd, by_hand })
    }

    /// slurm.conf itself comes last: until then nothing of it is on.
    ///
    /// # Errors
    /// As [`Editing::changes`].
    pub(super) fn changes(&self) -> anyhow::Result<Vec<Change>> {
        let mut changes = self.slurm.changes()?;
        if let Some(dbd) = &self.dbd {
            changes.extend(dbd.changes()?);
        }
        changes.reverse();
        Ok(changes)
    }
}

fn shown(editing: &Editing, wish: &Wish) -> String {
    format!("{}={}", wish.key(), wish.value(&editing.value(wish.key()).unwrap_or_default()))
}
