//! The command line: what can be asked of the program, and nothing of how it is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A virtual waiting room and gateway, with the booking and payment core behind it.
///
/// Without a command everything starts in one process on embedded defaults, with a demo sale.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the settings come from. Precedence: flag, then environment, then file, then default.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Settings file; without it `vestibule.toml` in this folder is read if it is there
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the databases, the journal, the keys and the operator's password
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// One setting, by its name in the file: --set listen.door=127.0.0.1:9000 (may be repeated)
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the front door alone: the line, the meter, and the proxy to the core
    WaitingRoom,
    /// Run the core alone: catalogue, holds, orders and payments (HTTP and gRPC)
    Core {
        /// Only these parts; the others run in processes on the same database and bus (core.services, core.bus)
        #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = gateway_core::Services::NAMES)]
        services: Vec<String>,
    },
    /// Run the sandbox payment provider alone
    Sandbox,
    /// Check the settings and say what is wrong, without starting anything
    Validate,
    /// Store films, halls, sales and stock from a file (TOML or JSON); what is there stays as it is
    Seed(SeedArgs),
    /// See and change rooms on a running front door
    Room(RoomArgs),
    /// Look at orders, settle those under review, cancel and reverse booked ones
    Orders(OrdersArgs),
    /// See what the core's parts tell each other, and have what failed too often tried again
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Send visitors through the door and report what they met
    Simulate(SimulateArgs),
    /// Compute a room's draw again from its published evidence; exit code 1 if it does not hold
    VerifyDraw(VerifyDrawArgs),
    /// Make access codes for a room, a line each; the file of `access_codes`
    Codes(CodesArgs),
    /// Make customers for a load test, a line each: id and token. They have no password
    Customers(CustomersArgs),
    /// Check this machine and what the settings point at
    Doctor,
    /// Ask a running process whether it is ready (for container health checks)
    Healthcheck,
    /// Print a completion script for a shell
    Completions {
        /// The shell to print it for
        shell: clap_complete::Shell,
    },
}

/// What to store.
#[derive(Debug, Args)]
pub(crate) struct SeedArgs {
    /// The catalogue; deploy/catalogue.toml shows everything that can stand in it
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// How many codes, and for which lane.
#[derive(Debug, Args)]
pub(crate) struct CodesArgs {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// The lane that they let people use; without it the general one
    #[arg(long, value_name = "NAME")]
    pub(crate) lane: Option<String>,
}

/// A command about orders, and for whom.
#[derive(Debug, Args)]
pub(crate) struct OrdersArgs {
    /// Your name beside what you decide; without it "operator"
    #[arg(long = "as", global = true, value_name = "NAME", default_value = "operator")]
    pub(crate) who: String,
    #[command(subcommand)]
    pub(crate) command: OrdersCommand,
}

/// What can be asked of orders.
#[derive(Debug, Subcommand)]
pub(crate) enum OrdersCommand {
    /// Orders that wait for a person, because their provider stayed silent; the longest first
    Review,
    /// One order: what is in it, the tries to pay it, what was decided
    Show {
        /// order_...
        order: String,
    },
    /// End a review, by what the provider's own books say
    #[command(group = clap::ArgGroup::new("verdict").required(true).args(["paid", "not_paid"]))]
    Settle {
        #[command(flatten)]
        decision: DecisionArgs,
        /// The money came: the order is booked
        #[arg(long)]
        paid: bool,
        /// No money came: seats and stock are free again. Should it come after all, it books or goes back
        #[arg(long)]
        not_paid: bool,
    },
    /// Give a booked order back: seats and stock are free again, and all of the money goes back
    Cancel(DecisionArgs),
    /// The provider took the money of a booked order back: the ticket is void, seats and stock are free again
    Reverse(DecisionArgs),
}

/// An order that a person decides about.
#[derive(Debug, Args)]
pub(crate) struct DecisionArgs {
    /// order_...
    pub(crate) order: String,
    /// Why; it is kept with the order
    #[arg(long)]
    pub(crate) note: String,
}

/// How many customers, and where to.
#[derive(Debug, Args)]
pub(crate) struct CustomersArgs {
    /// How many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
    /// The file for their tokens, readable for its owner alone; it must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// A command to a room, and for whom.
#[derive(Debug, Args)]
pub(crate) struct RoomArgs {
    /// Your name in the room's history; without it "operator"
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) who: Option<String>,
    #[command(subcommand)]
    pub(crate) command: RoomCommand,
}

/// What can be asked of a room.
#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    /// All rooms, a line each
    List,
    /// One room, with every number
    Show {
        /// The room's name
        room: String,
    },
    /// Change a room; it takes effect within a second and is kept over a restart
    #[command(after_help = SET_EXAMPLES)]
    Set(RoomSetArgs),
    /// Let people in again, and take down the message of the pause
    Open(RoomStateArgs),
    /// Keep everybody in line: nobody is called, nobody loses a place
    Pause(RoomStateArgs),
    /// Let those in line go on, and nobody new join
    Drain(RoomStateArgs),
    /// Nobody joins and nobody goes in; who is inside goes on
    Close(RoomStateArgs),
    /// As close, and visitors are told that all is sold
    SoldOut(RoomStateArgs),
    /// Who changed what, the latest first
    Changes {
        /// The room's name
        room: String,
    },
    /// Take the latest change back that still stands; once more, and the one before it
    Undo {
        /// The room's name
        room: String,
    },
    /// Clear the line of a room that the settings no longer have, for good
    Forget {
        /// The room's name
        room: String,
    },
}

/// What can be asked of the outbox.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// Messages in one state, the oldest first, a line each
    List {
        /// dead, ready, done or dropped
        #[arg(long, default_value = "dead", value_parser = gateway_core::letters::STATES)]
        state: String,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// One message, with its words and its last error
    Show {
        /// The message's id, msg_…
        id: String,
    },
    /// Have a dead message tried again, now that its cause is mended
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
    Replay {
        /// The message's id, msg_…
        id: Option<String>,
        /// All that are dead
        #[arg(long)]
        all: bool,
    },
    /// Give a dead message up for good: what it asked for never happens
    Drop {
        /// The message's id, msg_…
        id: String,
    },
}

/// A room that goes to another state.
#[derive(Debug, Args)]
pub(crate) struct RoomStateArgs {
    /// The room's name
    pub(crate) room: String,
    /// What the queue page tells the visitors ("" takes it away)
    #[arg(long)]
    pub(crate) message: Option<String>,
}

const SET_EXAMPLES: &str = "\
Examples:
  vestibule room set demo --rate 120 --burst 10
  vestibule room set demo --ramp 800 --over 5m
  vestibule room set demo --max-active 2000 --message \"Doors at eight.\"
  vestibule room set demo --method draw --opens-at 2026-12-01T20:00:00Z --closes-at none";

/// The changes `room set` can make.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args([
    "rate", "burst", "max_active", "queue_max", "ramp", "method", "prequeue_at", "opens_at", "closes_at", "message", "weights",
    "session_renewal",
]))]
pub(crate) struct RoomSetArgs {
    /// The room's name
    pub(crate) room: String,
    /// People to let in per minute
    #[arg(long, value_name = "PER_MINUTE", allow_negative_numbers = true)]
    pub(crate) rate: Option<u32>,
    /// People that may be let in at one instant after a quiet time; 0 follows the rate
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) burst: Option<u32>,
    /// People inside at the same time; 0 is no cap
    #[arg(long, value_name = "PEOPLE")]
    pub(crate) max_active: Option<u32>,
    /// People who may wait; 0 is no limit
    #[arg(long, value_name = "PEOPLE")]
    pub(crate) queue_max: Option<u64>,
    /// Whether an entry that is used goes on: true or false
    #[arg(long, value_name = "BOOL")]
    pub(crate) session_renewal: Option<bool>,
    /// People per minute to reach evenly, from the rate of now
    #[arg(long, value_name = "PER_MINUTE", requires = "over", conflicts_with = "rate")]
    pub(crate) ramp: Option<u32>,
    /// How long the ramp takes: 90s, 5m, 1h
    #[arg(long, value_name = "TIME", requires = "ramp")]
    pub(crate) over: Option<String>,
    /// How places are given: fcfs, draw or pass_through
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// When people may begin to join, like 2026-12-01T19:00:00Z; none takes it away
    #[arg(long, value_name = "TIME")]
    pub(crate) prequeue_at: Option<String>,
    /// When the first are called; none takes it away
    #[arg(long, value_name = "TIME")]
    pub(crate) opens_at: Option<String>,
    /// When nobody joins or goes in any more; none takes it away
    #[arg(long, value_name = "TIME")]
    pub(crate) closes_at: Option<String>,
    /// What the queue page tells the visitors ("" takes it away)
    #[arg(long)]
    pub(crate) message: Option<String>,
    /// A lane's share of the rate against those of the others; may be repeated
    #[arg(long = "weight", value_name = "LANE=WEIGHT")]
    pub(crate) weights: Vec<String>,
}

/// What `simulate` sends through the door.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Drive the line itself in virtual time: no server, thousands of times real time, the rules W1 to W8 checked
    #[arg(long = "virtual", conflicts_with_all = ["url", "path", "room", "limit"])]
    pub(crate) offline: bool,
    /// How many visitors come (at most 100,000 through a real door)
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) visitors: u32,
    /// Seconds over which they arrive
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) over: u32,
    /// The part that leaves before its turn, 0 to 1
    #[arg(long, default_value_t = 0.1, value_parser = part)]
    pub(crate) leave: f64,
    /// Room to join
    #[arg(long, default_value = "demo")]
    pub(crate) room: String,
    /// Front door; default: the address in the settings
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Protected path that each admitted visitor opens once
    #[arg(long, default_value = "/screenings/lighthouse-1900/seats")]
    pub(crate) path: String,
    /// Stop after this many seconds whatever happens
    #[arg(long, default_value_t = 1_800, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) limit: u32,
    /// Seed of the arrivals and of who leaves
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// With --virtual: so many random stories with faults, from --seed on, instead of one crowd
    #[arg(long, requires = "offline", value_parser = clap::value_parser!(u32).range(1..=1_000_000),
        conflicts_with_all = ["visitors", "over", "leave", "rate", "arrivals", "max_active", "stays", "plot"])]
    pub(crate) seeds: Option<u32>,
    /// With --virtual: people let in per minute
    #[arg(long, requires = "offline", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(waiting_room::line::RATE_PER_MINUTE_MAX)))]
    pub(crate) rate: u32,
    /// With --virtual: how they arrive
    #[arg(long, requires = "offline", value_enum, default_value_t = ArrivalsArg::Spike)]
    pub(crate) arrivals: ArrivalsArg,
    /// With --virtual: most people inside at once; 0: as many as the rate lets in
    #[arg(long, requires = "offline", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) max_active: u32,
    /// With --virtual: seconds that people are inside, on average, until the shop ends their session
    #[arg(long, requires = "offline", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) stays: u32,
    /// With --virtual: write a picture of it (SVG)
    #[arg(long, requires = "offline", value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
}

/// How simulated visitors arrive.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ArrivalsArg {
    /// Most of them at the very beginning
    Spike,
    /// Independently of each other
    Poisson,
    /// At equal distances
    Flat,
}

/// What `verify-draw` looks at.
#[derive(Debug, Args)]
pub(crate) struct VerifyDrawArgs {
    /// Where the evidence is published; default: the demo room at the door of the settings
    #[arg(long, conflicts_with = "file")]
    pub(crate) url: Option<String>,
    /// A saved answer of that address
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
    /// Tell the place of this registration
    #[arg(long, conflicts_with = "ticket")]
    pub(crate) number: Option<u64>,
    /// Tell the place of this ticket
    #[arg(long)]
    pub(crate) ticket: Option<String>,
    /// The commitment that you noted before the opening (hexadecimal)
    #[arg(long, value_name = "HEX")]
    pub(crate) commitment: Option<String>,
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(part) if (0.0..=1.0).contains(&part) => Ok(part),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}
