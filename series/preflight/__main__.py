from series.preflight import main

main()
