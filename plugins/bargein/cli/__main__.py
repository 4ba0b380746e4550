"""``python -m bargein.cli``."""

from . import main

raise SystemExit(main())
