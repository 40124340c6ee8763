"""Entry point of the search process; leaves none of our paths on the module search path."""

import gc
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
gc.disable()  # to the end of the imports: nothing of them is garbage
sys.path[:] = [HERE, *(entry for entry in sys.path if os.path.abspath(entry or ".") != HERE)]

from rolecall_search import main  # noqa: E402

if __name__ == "__main__":
    sys.path.remove(HERE)
    main.main()
