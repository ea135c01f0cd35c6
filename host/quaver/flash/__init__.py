"""The flash room: finds boards, writes images into them, and checks that they run."""
