import type en from "./en";

export default {
  loading: "Cargando …",
  tryAgain: "Intentar de nuevo",
  retryIn: "Puede intentarlo de nuevo en {time}.",
  cancel: "Cancelar",
  close: "Cerrar",
  signIn: "Iniciar sesión",
  signOut: "Cerrar sesión",
  language: "Idioma",
  signedInAs: "Sesión iniciada como {name}",
  organizationRoles: { admin: "Administrador", member: "Miembro" },
  reasons: {
    UNREACHABLE: "El servicio no respondió. Compruebe su conexión e inténtelo de nuevo.",
  },
} satisfies typeof en;
