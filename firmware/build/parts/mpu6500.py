"""InvenSense MPU-6500 (0x70), and the same part in MPU-9250 (0x71), MPU-9255 (0x73) and MPU-6515 (0x74); on I2C.

Register map RM-MPU-6500A-00 rev 2.1. As the MPU-6050, but for a FIFO of 512 bytes and an accelerometer with a filter of
its own, of 460 Hz. The rate's divider works with the gyroscope's filter alone (CONFIG). 4,000 samples/s, without that
filter, do not go through the FIFO once each.
"""

from build.parts import mpu6050

ROW = ((0x75, (0x70, 0x71, 0x73, 0x74)),) + mpu6050.ROW[1:6] + ((85, 32767), mpu6050.ROW[7])
ON = b"\x6b\x00\x6c\x07\x19\x00\x1a\x01\x1c\x00\x1d\x00\x38\x00"  # awake, gyroscope off; 1 kHz; 460 Hz
RANGE = mpu6050.RANGE
RATES = mpu6050.RATES
