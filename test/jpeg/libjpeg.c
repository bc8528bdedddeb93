/*
 * Prints what libjpeg's jpeg_read_coefficients reads from JPEG files: an independent result for the tests.
 *
 * Standard input:  for each file its length (uint32) and its bytes.
 * Standard output: for each file either -1 and a message of 200 bytes, or int32 components, width, height, warnings,
 *   J_COLOR_SPACE; then for each component int32 id, horizontal and vertical sampling, blocks wide and high, 64 uint16
 *   of its table, and its coefficients as int16; table and coefficients in zigzag order. All in the machine's byte order.
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

static const int zigzag[64] = {
  0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
  41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
  30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static jmp_buf failed;
static char message[JMSG_LENGTH_MAX];

static void on_error(j_common_ptr info) {
  info->err->format_message(info, message);
  longjmp(failed, 1);
}

static void on_message(j_common_ptr info) { (void)info; }

static void put(int32_t value) { fwrite(&value, 4, 1, stdout); }

static void put_component(struct jpeg_decompress_struct *info, jvirt_barray_ptr array, jpeg_component_info *part) {
  put(part->component_id);
  put(part->h_samp_factor);
  put(part->v_samp_factor);
  put(part->width_in_blocks);
  put(part->height_in_blocks);
  uint16_t table[64] = {0};
  for (int k = 0; k < 64 && part->quant_table != NULL; k++) table[k] = part->quant_table->quantval[zigzag[k]];
  fwrite(table, 2, 64, stdout);
  for (JDIMENSION row = 0; row < part->height_in_blocks; row++) {
    JBLOCKARRAY blocks = info->mem->access_virt_barray((j_common_ptr)info, array, row, 1, FALSE);
    for (JDIMENSION column = 0; column < part->width_in_blocks; column++) {
      int16_t block[64];
      for (int k = 0; k < 64; k++) block[k] = blocks[0][column][zigzag[k]];
      fwrite(block, 2, 64, stdout);
    }
  }
}

static void answer(const unsigned char *data, uint32_t size) {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);
  error.error_exit = on_error;
  error.output_message = on_message;
  jpeg_create_decompress(&info);
  if (setjmp(failed)) {
    char text[200] = {0};
    strncpy(text, message, 199);
    put(-1);
    fwrite(text, 1, 200, stdout);
  } else {
    jpeg_mem_src(&info, data, size);
    jpeg_read_header(&info, TRUE);
    if (info.num_components > 4 || (double)info.image_width * info.image_height > 1e8) {
      strcpy(message, "too large for a test");
      longjmp(failed, 1);
    }
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(&info);
    put(info.num_components);
    put(info.image_width);
    put(info.image_height);
    put((int32_t)error.num_warnings);
    put(info.jpeg_color_space);
    for (int i = 0; i < info.num_components; i++) put_component(&info, arrays[i], info.comp_info + i);
  }
  jpeg_destroy_decompress(&info);
}

int main(void) {
  uint32_t size;
  while (fread(&size, 4, 1, stdin) == 1) {
    unsigned char *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, stdin) != size) return 1;
    answer(data, size);
    free(data);
  }
  return 0;
}
