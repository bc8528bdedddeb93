/*
 * Times libjpeg's jpeg_read_coefficients on files in memory.
 *   libjpeg FILE CALLS   prints the mean milliseconds of CALLS calls, after a first one that is not counted
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <jpeglib.h>

static void read_coefficients(const unsigned char *data, unsigned long size) {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, size);
  jpeg_read_header(&info, TRUE);
  if (jpeg_read_coefficients(&info) == NULL) exit(1);
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  FILE *file = fopen(argv[1], "rb");
  if (file == NULL) return 1;
  fseek(file, 0, SEEK_END);
  long size = ftell(file);
  rewind(file);
  unsigned char *data = malloc(size);
  if (data == NULL || fread(data, 1, size, file) != (size_t)size) return 1;
  fclose(file);
  int calls = atoi(argv[2]);
  read_coefficients(data, size);
  double start = now();
  for (int call = 0; call < calls; call++) read_coefficients(data, size);
  printf("%.6f\n", (now() - start) / calls);
  return 0;
}
