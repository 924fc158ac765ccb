/* A PKCS #11 module that ends the process which loads it: compiled with -DEND='abort()' or the
 * like. */
#include <stdlib.h>

unsigned long C_GetFunctionList(void **list);

unsigned long C_GetFunctionList(void **list)
{
    *list = NULL;
    END;
    return 5; /* CKR_GENERAL_ERROR */
}
