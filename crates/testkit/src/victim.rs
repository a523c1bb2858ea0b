//! Processes that are killed in the middle of their work. In: a command and a seed. Out: the lines
//! that it had printed when `kill -9` reached it, which are what it had acknowledged. Not here:
//! judging whether they survived.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use base::rng::Rng;

/// How long a line may take to come.
const LINE_LIMIT: Duration = Duration::from_secs(60);

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    lines: Receiver<String>,
}

impl Victim {
    /// Starts the command and reads what it prints, line by line.
    ///
    /// # Panics
    /// When it does not start.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let output = child.stdout.take().expect("the output is a pipe");
        let (sender, lines) = sync_channel(1 << 16);
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            while let Some(line) = whole_line(&mut output) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Victim { child, lines }
    }

    /// The next line; `None` when the output has ended.
    ///
    /// # Panics
    /// When none comes within a minute.
    pub fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(LINE_LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {LINE_LIMIT:?}"),
        }
    }

    /// Reads lines until one satisfies `wanted`; gives it.
    ///
    /// # Panics
    /// When the output ends first.
    pub fn wait_for_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        while let Some(line) = self.next_line() {
            if wanted(&line) {
                return line;
            }
        }
        panic!("the process ended before the line that was waited for");
    }

    /// Lets it print a number of lines drawn below `lines`, lets it run on for a time drawn below
    /// `beyond`, and kills it. Gives every whole line that it printed.
    pub fn kill_at_random(mut self, rng: &Rng, lines: u64, beyond: Duration) -> Vec<String> {
        let wanted = rng.below(lines);
        let mut printed = Vec::new();
        while (printed.len() as u64) < wanted {
            match self.next_line() {
                Some(line) => printed.push(line),
                None => break,
            }
        }
        // The kill must fall anywhere between two lines, so this pause is the point of it.
        std::thread::sleep(Duration::from_micros(rng.below(beyond.as_micros() as u64)));
        self.kill();
        printed.extend(self.lines.iter());
        printed
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once with `SIGKILL` and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Waits for its end; gives the remaining lines and whether it ended well.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn finish(mut self) -> (Vec<String>, bool) {
        let mut printed = Vec::new();
        while let Some(line) = self.next_line() {
            printed.push(line);
        }
        let status = self.child.wait().expect("the end of the process");
        (printed, status.success())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The next line with its end; a line that the kill cut off acknowledges nothing.
fn whole_line(output: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    output.read_line(&mut line).ok()?;
    line.strip_suffix('\n').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_process_leaves_the_lines_that_it_printed() {
        let script = "i=0; while true; do echo $i; i=$((i+1)); done";
        let victim = Victim::spawn(Command::new("sh").args(["-c", script]));
        let printed = victim.kill_at_random(&Rng::seeded(3), 50, Duration::from_millis(2));
        let expected: Vec<String> = (0..printed.len()).map(|i| i.to_string()).collect();
        assert_eq!(printed, expected);
    }

    #[test]
    fn a_process_that_ends_by_itself_says_how() {
        let victim = Victim::spawn(Command::new("sh").args(["-c", "echo a; echo b; exit 3"]));
        assert_eq!(victim.wait_for_line(|line| line == "a"), "a");
        assert_eq!(victim.finish(), (vec!["b".to_owned()], false));
    }
}
