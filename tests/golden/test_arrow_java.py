"""Arrow's Java library (java/ArrowInterop.java), on our files and we on its (interop.py). Skipped
where it is not there: FLETCH_ARROW_JAVA_TOOLS names its folder, which `make interop` fills."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import interop  # noqa: E402

TOOLS = Path(os.environ.get("FLETCH_ARROW_JAVA_TOOLS", "/nowhere"))


class Java:
    """One process for all commands: it takes longer to start than to answer."""
    name = "Java"
    keeps_order = False

    def __init__(self):
        paths = os.pathsep.join((str(TOOLS / "classes"), str(TOOLS / "jars" / "*")))
        self.process = subprocess.Popen(
            ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx512m", "-cp", paths,
             "ArrowInterop"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)

    def ask(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"Java ended at {words}")
        return "" if answer == "ok" else answer

    def validate(self, arrow, told):
        return self.ask("VALIDATE", arrow, told)

    def to_arrow(self, told, arrow):
        return self.ask("JSON_TO_ARROW", told, arrow)

    def to_stream(self, source, target):
        return self.ask("FILE_TO_STREAM", source, target)

    def to_file(self, source, target):
        return self.ask("STREAM_TO_FILE", source, target)


if __name__ == "__main__":
    if shutil.which("java") is None or not (TOOLS / "classes" / "ArrowInterop.class").exists():
        interop.skip("Arrow's Java library is not there (FLETCH_ARROW_JAVA_TOOLS; make interop)")
    interop.main(sys.argv[1], Java(), lambda stem: False)
