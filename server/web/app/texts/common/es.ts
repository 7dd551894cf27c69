import type en from "./en";

export default {
  service: "Organization Service",
  loading: "Cargando …",
  tryAgain: "Intentar de nuevo",
  retryIn: "Puede intentarlo de nuevo en {time}.",
  cancel: "Cancelar",
  copy: "Copiar",
  copied: "Copiado",
  close: "Cerrar",
  signIn: "Iniciar sesión",
  signOut: "Cerrar sesión",
  language: "Idioma",
  signedInAs: "Sesión iniciada como {name}",
  otherAccount: "Usar otra cuenta",
  organizationRoles: { admin: "Administrador", member: "Miembro" },
  reasons: {
    UNREACHABLE: "El servicio no respondió. Compruebe su conexión e inténtelo de nuevo.",
    INVALID_REQUEST: "El servicio no puede aceptar lo introducido. Revíselo e inténtelo de nuevo.",
    PAGE_TOKEN_INVALID: "Esta página de la lista ya no existe. Empiece por la primera.",
    REQUEST_TOO_LARGE: "Es demasiado a la vez. Envíelo en partes más pequeñas.",
    REQUEST_TOO_SLOW: "La solicitud llegó demasiado despacio. Compruebe su conexión e inténtelo de nuevo.",
    CREDENTIALS_MISSING: "Su sesión ya no está iniciada. Inicie sesión de nuevo para continuar.",
    CREDENTIALS_INVALID: "Su sesión ya no está iniciada. Inicie sesión de nuevo para continuar.",
    SAME_ORIGIN_REQUIRED:
      "Esto solo puede hacerse en las páginas propias del servicio. Vuelva a cargar la página e inténtelo de nuevo.",
    ISSUER_UNAVAILABLE:
      "El proveedor de inicio de sesión no está accesible en este momento. Inténtelo de nuevo en breve.",
    SIGN_IN_UNAVAILABLE:
      "Esta forma de iniciar sesión no está configurada aquí. Use otra o pregunte al operador de este servicio.",
    SIGN_IN_CODE_WRONG: "El código no es correcto o ya no sirve. Use el del correo más reciente o pida otro.",
    SIGN_IN_EXPIRED:
      "Este inicio de sesión comenzó en otro navegador, tardó más de diez minutos o ya terminó. Empiece de nuevo.",
    SIGN_IN_REFUSED:
      "El proveedor de inicio de sesión no confirmó quién es usted: el inicio de sesión se canceló o se rechazó. Inténtelo de nuevo.",
    ADMIN_REQUIRED: "Solo un administrador de la organización puede hacer esto. Pídaselo a uno de ellos.",
    NOT_YOURS: "Solo puede hacer esto para usted mismo.",
    ORGANIZATION_NOT_FOUND: "No existe esa organización o usted no es miembro de ella.",
    USER_NOT_FOUND: "Esta persona ya no está en la organización.",
    INVITE_NOT_FOUND:
      "Este enlace de invitación fue sustituido por uno más reciente, desactivado o está incompleto. Pida a un administrador de la organización el enlace actual.",
    NO_LIVE_INVITE: "La organización no tiene ahora ningún enlace de invitación.",
    INVITE_KEY_UNAVAILABLE: "Este enlace ya no puede mostrarse. Cree uno nuevo.",
    ACCESS_TOKEN_NOT_FOUND: "Este token de acceso ya no existe.",
    LAST_ADMIN: "Una organización conserva al menos un administrador. Haga antes administrador a otro miembro.",
    ORGANIZATION_FULL:
      "La organización está completa: tiene tantos miembros como puede tener ({limit}). Pida a uno de sus administradores que haga sitio e inténtelo de nuevo.",
    EMAIL_NOT_VERIFIED:
      "Para esto hace falta una dirección de correo que su proveedor de inicio de sesión haya verificado.",
    ADDRESS_INVALID: "«{email}» no es una dirección de correo. Escriba una como alice@example.com.",
    INVITATION_NOT_FOUND:
      "Esta invitación no existe o una más reciente la ha sustituido. Busque el correo más reciente o pida que le inviten de nuevo.",
    INVITATION_PENDING: "{email} ya tiene una invitación pendiente.",
    ALREADY_MEMBER: "{email} ya es la dirección de un miembro.",
    INVITATION_ALREADY_ACCEPTED: "La invitación de {email} ya fue aceptada. Si fue usted, ya es miembro.",
    INVITATION_DECLINED:
      "La invitación de {email} fue rechazada. Quien haya cambiado de opinión necesita una nueva: pida que le inviten de nuevo.",
    INVITATION_REVOKED: "La invitación de {email} fue retirada. Hace falta una nueva: pida que le inviten de nuevo.",
    INVITATION_EXPIRED:
      "La invitación de {email} ha caducado. Pida a un administrador de la organización que la envíe de nuevo.",
    INVITATION_WRONG_ACCOUNT:
      "La invitación es para {email}, que no es la dirección de esta cuenta. Use la cuenta con esa dirección o abra el enlace del correo.",
    EMAIL_NOT_VERIFIED_FOR_INVITATION:
      "Su proveedor de inicio de sesión no ha verificado {email}. Verifíquela allí o abra el enlace del correo.",
    REDIRECT_NOT_ALLOWED: "El operador de este servicio no permite la dirección de destino.",
    MAIL_LIMIT: "Se enviaron demasiados correos a {email} en poco tiempo.",
    RATE_LIMITED: "Fueron demasiados intentos en poco tiempo.",
    ROLE_NOT_FOUND: "No existe el rol «{role}».",
    IDEMPOTENCY_KEY_REUSED: "Esto ya se envió con otros datos. Vuelva a cargar la página para ver el estado.",
    METHOD_NOT_IMPLEMENTED: "Esta página y el servicio ya no concuerdan. Vuelva a cargar la página.",
    DEADLINE_PASSED: "Tardó demasiado y no se cambió nada. Inténtelo de nuevo.",
    OVERLOADED: "El servicio tiene en este momento más trabajo del que puede atender. Inténtelo de nuevo en breve.",
    STORE_BUSY: "El servicio está ocupado. Inténtelo de nuevo en breve.",
    STORE_UNAVAILABLE: "El servicio no está disponible en este momento. Inténtelo de nuevo en breve.",
    OUTCOME_UNKNOWN: "En este momento no se puede saber si se hizo. Inténtelo de nuevo: no puede ocurrir dos veces.",
    CONFLICT: "Alguien cambió lo mismo al mismo tiempo. Compruébelo e inténtelo de nuevo.",
    INTERNAL: "Algo falló en el servicio. Inténtelo de nuevo; si persiste, avise al operador.",
  },
} satisfies typeof en;
