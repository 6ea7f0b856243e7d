//! What is to change in Slurm's files, and the same for a person who does it by hand.

use super::change::Change;
use super::editing::Editing;
use super::lines::Lines;
use super::wish::Wish;

/// What both files are to say.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) slurm: Vec<Wish>,
    pub(super) dbd: Vec<Wish>,
}

impl Wishes {
    /// TLS, by the lines that `conf show` prints.
    pub(super) fn of_tls(lines: &Lines) -> Self {
        let of =
            |lines: &[String]| -> Vec<Wish> { lines.iter().filter_map(|line| Wish::of_line(line)).collect() };
        let mut slurm = of(&lines.slurm_conf);
        slurm.push(Wish::audit());
        Self { slurm, dbd: of(&lines.slurmdbd_conf) }
    }
}

/// What is to change, and the same for a person.
#[derive(Debug)]
pub(super) struct Plan {
    slurm: Editing,
    dbd: Option<Editing>,
    /// The lines as a person types them, merged with what stands there.
    pub(super) by_hand: Vec<String>,
}

impl Plan {
    /// For these files and what they are to say.
    ///
    /// # Errors
    /// When a line cannot be written.
    pub(super) fn new(mut slurm: Editing, mut dbd: Option<Editing>, wishes: &Wishes) -> anyhow::Result<Self> {
        let mut by_hand = vec!["# slurm.conf, on every host".to_owned()];
        for wish in &wishes.slurm {
            by_hand.push(shown(&slurm, wish));
            slurm.grant(wish)?;
        }
        if let Some(dbd) = &mut dbd {
            by_hand.push("# slurmdbd.conf".to_owned());
            for wish in &wishes.dbd {
                by_hand.push(shown(dbd, wish));
                dbd.grant(wish)?;
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
    wish.line(|key| editing.value(key))
}
