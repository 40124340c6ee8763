import sys
from pathlib import Path

WORKER = Path(__file__).parents[4] / "tools" / "repair" / "worker"
if str(WORKER) not in sys.path:
    sys.path.append(str(WORKER))
