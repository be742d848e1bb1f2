"""What the tests of all codecs share: the daemon's codec as a program that answers each line with a
line of JSON (tests/support/NAME-json), and golden packets. NAME_TEST_SEED repeats a run,
NAME_TEST_ROUNDS makes it longer."""

import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(os.environ.get("top_srcdir", pathlib.Path(__file__).resolve().parents[2]))


class Codec:
    def __init__(self, name, seed, rounds):
        self.name = name
        self.seed = int(os.environ.get(f"{name.upper()}_TEST_SEED", seed))
        self.rounds = int(os.environ.get(f"{name.upper()}_TEST_ROUNDS", rounds))
        self.tool = (pathlib.Path(os.environ.get("top_builddir", ".")) / "tests/support" /
                     f"{name}-json")
        if not self.tool.exists():
            sys.exit(f"{self.tool} is missing")

    def run(self, requests):
        done = subprocess.run([self.tool], input="\n".join(requests) + "\n", capture_output=True,
                              text=True, timeout=300, check=False)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode != 0 or len(answers) != len(requests):
            sys.exit(f"{self.tool.name}: status {done.returncode} after {len(answers)} of "
                     f"{len(requests)} answers\n{done.stderr}")
        return answers

    def golden(self):
        """Each golden packet's octets, and the lines of its file."""
        for path in sorted((TOP / "tests/golden" / self.name).glob("*.hex")):
            lines = path.read_text(encoding="utf-8").splitlines()
            yield bytes.fromhex("".join(line.split("#")[0] for line in lines)), lines

    def must_agree(self, what, ours, daemons):
        if ours != daemons:
            sys.exit(f"{what}\n  {self.name}.py: {ours}\n  daemon: {daemons}")

    def check_decoding(self, datagrams, expected, canonical, keys):
        """EXPECTED says of octets what the daemon's CANONICAL answer must be; KEYS, what is counted
        of it."""
        seen = {}
        for data, answer in zip(datagrams, self.run([f"decode {d.hex()}" for d in datagrams])):
            got = canonical(answer)
            self.must_agree(f"decoding differs for {data.hex()}", expected(data), got)
            for key in keys(got):
                seen[key] = seen.get(key, 0) + 1
        return seen

    def check_encoding(self, messages, to_json, build):
        requests = ["encode " + json.dumps(to_json(message)) for message in messages]
        for message, answer in zip(messages, self.run(requests)):
            self.must_agree(f"encoding differs for {message}: {answer}", build(message).hex(),
                            answer.get("hex"))
