"""The flash room: finds boards, writes images into them, and sees that they run."""
