"""Pictures and pages made from results and stores."""
