import type en from "./en";

export default {
  loading: "正在加载……",
  tryAgain: "重试",
  retryIn: "{time}后可以重试。",
  cancel: "取消",
  close: "关闭",
  signIn: "登录",
  signOut: "退出登录",
  language: "语言",
  signedInAs: "已登录：{name}",
  organizationRoles: { admin: "管理员", member: "成员" },
  reasons: {
    UNREACHABLE: "服务没有响应。请检查网络连接后重试。",
  },
} satisfies typeof en;
