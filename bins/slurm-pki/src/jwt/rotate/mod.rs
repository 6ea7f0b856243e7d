//! `slurm-pki jwt key rotate`: a new HS256 key on slurmctld, the controllers that stand by and slurmdbd.
//!
//! auth/jwt has one HS256 key and no overlap: slurmctld reads it anew at a reconfigure, slurmdbd at a restart, and every
//! token of the former key ends there (slurm-contract.md 6). So both change right after each other, the gap between is
//! measured, and where the new key does not come to count everywhere, the former one is put back. What is being reached is
//! on the disk before the first key changes.

pub(crate) mod copies;
mod offer;
mod proof;
mod restd;
mod state;
mod unix_socket;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use pki::jws::sign_hs256;
use pki::jwt::claims;
use pki::secret::Secret;
use site::clock;
use site::config::KeysConfig;
use site::file::Owner;
use site::random;

use self::copies::{KeyCopy, Reader};
use self::proof::{Judge, Proof, Way};
use self::restd::Restd;
use self::state::{Folder, Phase, State};
use super::places::Places;
use crate::admin::{Admin, owner_name};
use crate::advice::{Advice, Advise as _};
use crate::fleet::Fleet;
use crate::global::Global;
use crate::members::is_this_host;
use crate::reload::{self, Outcome, Wish};
use crate::{interrupt, moment, report};

/// As long as SHA-256 puts out, and as Slurm's own guide makes it.
const KEY: usize = 32;

/// Replace the HS256 key: all tokens of the former one end
#[derive(Args, Debug)]
#[command(
    after_help = "auth/jwt knows one HS256 key at a time, so there is no overlap: tokens that are in use end, and new ones \
    count, at the moment in which a daemon loads the new key. slurmctld does so at scontrol reconfigure, slurmdbd at a \
    restart; this command changes both right after each other, and tells how long the gap was from the first change to \
    the last proof.\n\n\
    The order: the new key beside the former one in <state_dir>/jwt-key; then to every controller's host and slurmdbd's, \
    by the tools that [fleet] names; the gate (as before every reload); controllers that stand by, slurmdbd (command of \
    [daemons.dbd]), the slurmctld at work (reload_ctld of [keys]), each proven to have started anew. Then the proof: a new token is \
    answered by slurmctld and slurmdbd, and one of the former key by neither: through slurmrestd where restd_url in \
    [keys] names it, else by scontrol and sacctmgr. When any of it fails, the former key is put back and loaded again.\n\n\
    Killed at any point, the same command goes on; with --abort it goes back.\n\n\
    Where no gap is allowed, sign with RS256: two keys can count at the same time. --rs256 shows the commands for that.\n\n\
    Exit codes: 0 done, 1 failed (it says which key counts now), 64 wrong usage.\n\n\
    Examples:\n  \
    slurm-pki jwt key rotate --dry-run          where the key is, and who reloads how\n  \
    slurm-pki jwt key rotate --yes\n  \
    slurm-pki jwt key rotate --abort --yes      after one that was killed: back to the former key\n  \
    slurm-pki jwt key rotate --rs256            the commands for a change without a gap"
)]
pub(crate) struct Rotate {
    /// Put the former key back, after a rotation that was killed
    #[arg(long, conflicts_with = "rs256")]
    abort: bool,
    /// Show how to change keys without a gap, by RS256
    #[arg(long)]
    rs256: bool,
    /// slurmdbd's copy on its host; else what jwt_key= in slurmdbd.conf there says
    #[arg(long, value_name = "PATH")]
    dbd_key: Option<PathBuf>,
    /// The CA of slurmrestd's certificate; else ca_cert
    #[arg(long, value_name = "FILE")]
    restd_ca: Option<PathBuf>,
    /// Whose the tokens of the proof are: a user whom slurmctld's and slurmdbd's hosts know
    #[arg(long, value_name = "NAME", default_value = "nobody")]
    proof_user: String,
}

/// What every step works with.
struct Scene<'a> {
    global: &'a Global,
    admin: &'a Admin,
    fleet: Fleet,
    slurm_user: Owner,
    folder: Folder,
}

impl Rotate {
    /// Runs the command.
    ///
    /// # Errors
    /// When the new key does not count everywhere; whether the former one does is said.
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let admin = Admin::load(global)?;
        let places = Places::of(&admin)?;
        if self.rs256 {
            offer::show(&places);
            return Ok(());
        }
        let fleet = Fleet::of(&admin)?;
        let under_way = State::load(&admin)?;
        if global.dry_run {
            return self.say_what_would_be_done(global, &admin, &fleet, &places, under_way.as_ref());
        }
        let slurm_user = admin.slurm_user_to_write_for()?;
        let folder = Folder::open(&admin, slurm_user)?;
        let scene = Scene { global, admin: &admin, fleet, slurm_user, folder };
        // Read again: another run may have ended in between.
        let under_way = State::load(&admin)?;
        if let Some(state) = &under_way {
            copies::refuse_foreign(&admin, &state.copies, places.need_jwt_key()?)?;
        }
        match under_way {
            Some(mut state) if state.phase == Phase::Over => {
                scene.folder.end(&mut state)?;
                report::done(
                    global,
                    "the rotation before was over, and what was left of it is gone; run this again for another",
                );
                Ok(())
            }
            Some(state) if self.abort || state.phase == Phase::PuttingBack => {
                self.go_back(&scene, state, None)
            }
            Some(state) => {
                report::done(
                    global,
                    &format!(
                        "going on with the rotation that began {}",
                        moment::shown(state.begun, clock::now())
                    ),
                );
                self.go_on(&scene, state)
            }
            None if self.abort => {
                Err(Advice::new("no rotation is under way", "there is nothing to go back from").into())
            }
            None => self.begin(&scene, &places),
        }
    }

    fn begin(&self, scene: &Scene<'_>, places: &Places) -> anyhow::Result<()> {
        let (global, admin) = (scene.global, scene.admin);
        let jwt_key = places.need_jwt_key()?;
        let copies = copies::all(global, admin, &scene.fleet, jwt_key, self.dbd_key.as_deref())?;
        let former = copies::present(global, &scene.fleet, &copies, scene.slurm_user)?;
        // Whoever cannot be asked now could not be asked in the middle of it.
        self.proof(admin, &copies, &former)?.counts(&former)?;
        report::confirm(
            global,
            "All tokens that are in use end, and slurmctld and slurmdbd are reloaded. Go on?",
        )?;
        let new = Secret::new(random::bytes::<KEY>().advise()?.to_vec());
        copies::must_load(&new, scene.slurm_user)?;
        let state = scene.folder.begin(&former, &new, copies, clock::now())?;
        self.go_on(scene, state)
    }

    fn go_on(&self, scene: &Scene<'_>, mut state: State) -> anyhow::Result<()> {
        let new = scene.folder.key("new.key", &state.new)?;
        let former = scene.folder.key("former.key", &state.former)?;
        match self.forward(scene, &mut state, &new, &former) {
            Ok(gap) => {
                scene.folder.end(&mut state)?;
                report::line(&told(gap, &state.copies));
                Ok(())
            }
            Err(why) if interrupt::came() => Err(why.context(
                "the rotation was interrupted: the same command goes on, and with --abort it goes back",
            )),
            Err(why) => self.go_back(scene, state, Some(why)),
        }
    }

    /// The new key to all, loaded by all, and proven.
    fn forward(
        &self,
        scene: &Scene<'_>,
        state: &mut State,
        new: &Secret,
        former: &Secret,
    ) -> anyhow::Result<Option<Duration>> {
        copies::bring(scene.global, &scene.fleet, &state.copies, new, scene.slurm_user)?;
        let outcome = load(scene, state, &state.new.clone())?;
        let began = outcome.began;
        outcome.into_result()?;
        self.proof(scene.admin, &state.copies, new)?.changed(new, former)?;
        Ok(began.map(|began| began.elapsed()))
    }

    /// The former key to all, loaded again by those that may have loaded the new one, and proven.
    fn go_back(&self, scene: &Scene<'_>, mut state: State, why: Option<anyhow::Error>) -> anyhow::Result<()> {
        if let Some(why) = &why {
            report::warning(&format!("the new key does not count, so the former one is put back: {why:#}"));
        }
        state.phase = Phase::PuttingBack;
        scene.folder.save(&state)?;
        let former = scene.folder.key("former.key", &state.former)?;
        let back = self.backward(scene, &mut state, &former);
        let hint = why.as_ref().and_then(|why| why.chain().find_map(|cause| cause.downcast_ref::<Advice>()));
        match (back, why.as_ref()) {
            (Ok(()), None) => {
                report::done(scene.global, "the former key counts again; the new one is gone");
                Ok(())
            }
            (Ok(()), Some(why)) => Err(Advice::new(
                format!("the key was not rotated, and the former one counts again: {why:#}"),
                hint.map_or("mend that, and run this again", |advice| advice.hint.as_str()),
            )
            .into()),
            (Err(now), _) => Err(Advice::new(
                format!("the former key is not back everywhere: {now:#}"),
                "see to slurmctld and slurmdbd now; then slurm-pki jwt key rotate --abort goes on putting it back",
            )
            .into()),
        }
    }

    fn backward(&self, scene: &Scene<'_>, state: &mut State, former: &Secret) -> anyhow::Result<()> {
        copies::bring(scene.global, &scene.fleet, &state.copies, former, scene.slurm_user)?;
        if state.reloaded && !self.is_loaded_still(scene.admin, &state.copies, former) {
            load(scene, state, &state.former.clone())?.into_result()?;
            self.proof(scene.admin, &state.copies, former)?.counts(former)?;
        }
        scene.folder.end(state)
    }

    /// Whether nobody has loaded the new key. A controller that stands by cannot be asked.
    fn is_loaded_still(&self, admin: &Admin, copies: &[KeyCopy], former: &Secret) -> bool {
        let controllers = copies.iter().filter(|copy| copy.reader == Reader::Slurmctld).count();
        let counts = || self.proof(admin, copies, former).and_then(|proof| proof.counts(former));
        controllers == 1 && counts().is_ok()
    }

    fn proof(&self, admin: &Admin, copies: &[KeyCopy], key: &Secret) -> anyhow::Result<Proof> {
        let restd = KeysConfig::read(&admin.config).advise()?.restd_url;
        let has = |reader| copies.iter().any(|copy| copy.reader == reader);
        let mut judges = vec![Judge::Slurmctld];
        judges.extend(has(Reader::Slurmdbd).then_some(Judge::Slurmdbd));
        let way = if let Some(url) = restd {
            let claims = claims(&self.proof_user, clock::now(), proof::LIFESPAN, None)
                .map_err(|why| Advice::new(why, "name another user by --proof-user"))?;
            let ca = self.restd_ca.as_ref().unwrap_or(&admin.controller.ca_cert);
            Way::Restd(Restd::of(&url, ca, &sign_hs256(key, &claims), judges.len() > 1)?)
        } else {
            Way::Commands
        };
        Ok(Proof { way, user: self.proof_user.clone(), judges })
    }

    fn say_what_would_be_done(
        &self,
        global: &Global,
        admin: &Admin,
        fleet: &Fleet,
        places: &Places,
        under_way: Option<&State>,
    ) -> anyhow::Result<()> {
        let copies = match under_way {
            Some(state) => state.copies.clone(),
            None => copies::all(global, admin, fleet, places.need_jwt_key()?, self.dbd_key.as_deref())?,
        };
        let back = self.abort || under_way.is_some_and(|state| state.phase == Phase::PuttingBack);
        let which = if back { "the former key" } else { "a new key" };
        for copy in &copies {
            let there = if is_this_host(&copy.host) { "here" } else { &copy.host };
            report::line(&format!("would put {which} at {} ({there})", copy.path.display()));
        }
        reload::reload(global, admin, &copies::parts(&copies, ""), wish(false))?;
        let restd = KeysConfig::read(&admin.config).advise()?.restd_url;
        let how = restd.as_deref().unwrap_or("scontrol and sacctmgr");
        report::line(&format!(
            "would ask by {how} with tokens of {}: one of the new key is to be answered, one of the former is not; its files are {}'s",
            self.proof_user,
            owner_name(admin.slurm_user()?)
        ));
        Ok(())
    }
}

/// Has the daemons load the key of this digest. That one may have is on the disk before.
fn load(scene: &Scene<'_>, state: &mut State, wanted: &str) -> anyhow::Result<Outcome> {
    let before = state.reloaded;
    state.reloaded = true;
    scene.folder.save(state)?;
    let parts = copies::parts(&state.copies, wanted);
    reload::reload(scene.global, scene.admin, &parts, wish(state.phase == Phase::PuttingBack))
        .inspect_err(|_| state.reloaded = before)
}

/// No node reads this key.
fn wish(start_dead: bool) -> Wish {
    Wish { step: Duration::ZERO, accept_busy: true, first_tries: 1, start_dead }
}

fn told(gap: Option<Duration>, copies: &[KeyCopy]) -> String {
    let who = if copies.iter().any(|copy| copy.reader == Reader::Slurmdbd) {
        "slurmctld and slurmdbd"
    } else {
        "slurmctld"
    };
    let gap = gap.map_or_else(
        || "they had loaded it before this run".to_owned(),
        |gap| format!("{:.1} s from the first daemon's change to the last proof", gap.as_secs_f64()),
    );
    format!("{who}: tokens of the new key count, those of the former key do not ({gap})")
}
