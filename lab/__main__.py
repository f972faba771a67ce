import sys

if sys.platform == "linux":
    from lab.cli import main

    main()
else:
    sys.exit("The lab needs Linux. On real accounts: make tutorial TARGET=cloud (docs/real-accounts.md)")
